#pragma once
// The inverse of lower(): the Architecture whose operations are those of a graph that comes from
// elsewhere.

#include <map>
#include <string>
#include <vector>

#include "models/arch/graph.h"

namespace hac {

// Where an operation of lower(arch) has its parameters from, by index into the given graph.
struct Origin {
  int op = -1;     // -1: nowhere, a batch norm that changes nothing but by `shift`
  int shift = -1;  // of a batch norm: the convolution whose bias it takes, which has none here
};

struct Recognized {
  Architecture arch;
  std::map<std::string, Origin> origins;  // by the names of lower(arch)'s operations
  int added_norms = 0;                    // batch norms from nowhere
};

// graph: operations that fuse nothing (convolutions at most a bias), without dropout, in order; an
// op's name is the PyTorch prefix of its parameters, or "" where it is unknown. labels: what
// messages call each op. Blocks are found by their operations, whatever they are called. A block
// has batch norms where its kind has them, so one whose batch norms were folded gets some that only
// shift. Stages, which no graph says, end where blocks change their name, resolution or width.
// Throws ConfigError naming the op at which no known layer or block continues, and why.
Recognized recognize(const Graph& graph, const std::string& name,
                     const std::vector<std::string>& labels);

}  // namespace hac
