#pragma once
// The predicted latency and the parameters of a network as sums of terms that each depend on few of
// its widths. Every operation is one: its spec depends on the widths that it reads and writes and,
// beside a residual block, on whether two widths of the stream agree, which decides between an
// identity and a projection and so over what inference fuses. No kind of layer is known here: the
// network is lowered with widths that are told apart (primes), for each such agreement, and each
// spec then shows which widths it has.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/arch/graph.h"
#include "scaling/latency/latency.h"

namespace hac {

class WidthCosts {
 public:
  struct Cost {
    double ms = 0;
    std::int64_t params = 0;
    Cost& operator+=(const Cost& o) {
      ms += o.ms;
      params += o.params;
      return *this;
    }
  };

  // False where groups leave too few widths to tell apart.
  static bool possible(const Architecture& arch);
  // The model must outlive it. At random widths the sums are compared with cost_of(); throws Error
  // if they differ.
  WidthCosts(const Architecture& arch, const LatencyModel& model);

  int terms() const { return static_cast<int>(terms_.size()); }
  // Indices into widths(arch) that a term depends on, ascending.
  const std::vector<int>& scope(int term) const { return terms_[term].scope; }
  Cost cost(int term, const std::vector<std::int64_t>& widths) const;
  Cost cost(const std::vector<std::int64_t>& widths) const;  // the sum

 private:
  // So many times a width, squeezed; of = -1: a constant.
  struct Channels {
    int of = -1;
    std::int64_t times = 0, over = 1;
    bool operator==(const Channels&) const = default;
  };
  struct SymbolicOp {
    OpSpec spec;
    Channels in, out;
    bool timed = false;  // of the graph of inference; else counted, of the one of training
    bool operator==(const SymbolicOp& o) const;  // whatever the widths were
  };
  // A block adds its input where two widths agree; first = -1: the image's channels.
  using Agreement = std::pair<int, int>;
  struct Term {
    std::string name;  // of the operation
    std::vector<int> scope;
    std::vector<int> agreements;               // that decide on its operations
    std::vector<std::vector<SymbolicOp>> ops;  // by which of them hold, as bits
  };
  friend class TermBuilder;

  bool holds(int agreement, const std::vector<std::int64_t>& widths) const {
    const auto [first, second] = agreements_[agreement];
    return widths[second] == (first < 0 ? channels_ : widths[first]);
  }
  void verify(const Architecture& arch) const;

  const LatencyModel* model_;
  std::int64_t channels_;
  std::vector<Agreement> agreements_;
  std::vector<Term> terms_;
};

}  // namespace hac
