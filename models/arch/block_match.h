#pragma once
// Residual blocks by their operations. Private to recognize.cpp.

#include <optional>
#include <string>
#include <vector>

#include "models/arch/recognize.h"

namespace hac {

// A graph with the readers of each value.
class Readers {
 public:
  explicit Readers(const Graph& graph);
  const Graph& graph() const { return graph_; }
  const std::vector<int>& of(int value) const { return readers_[value + 1]; }  // ops, ascending
  int only(int value) const { return of(value).size() == 1 ? of(value)[0] : -1; }
  std::int64_t width(int value) const;
  // The op's spec, null where it is another kind or there is no such op.
  template <class Spec>
  const Spec* as(int op) const {
    return op < 0 ? nullptr : std::get_if<Spec>(&graph_.ops[op].spec);
  }

 private:
  const Graph& graph_;
  std::vector<std::vector<int>> readers_;
};

struct BlockMatch {
  struct Part {
    std::string suffix;  // "conv1": its name is the block's and this
    Origin origin;
  };
  Layer layer;  // without its name
  int end = -1;
  std::vector<Part> parts;
  // The bias of the convolution before the block became that of the block's first batch norm.
  bool takes_bias = false;
};

// Why no block continued: of all that were tried, where the one that came furthest ended.
struct Mismatch {
  int op = -1;
  int steps = 0;  // operations of the block before it
  std::string why;
};

// The block that begins with `value`. bias_before: `value` is a convolution whose bias may be
// taken.
std::optional<BlockMatch> match_block(const Readers& graph, int value, bool bias_before,
                                      Mismatch& furthest);

}  // namespace hac
