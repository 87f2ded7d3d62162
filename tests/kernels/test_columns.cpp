// How the matrices of batch norms are cut for a GPU: enough blocks for a large one wherever there
// are as many, and no more partial sums than a last block adds in passing.

#include "kernels/device/columns.cuh"

#include <gtest/gtest.h>

#include <set>

#include "models/arch/graph.h"
#include "models/zoo/zoo.h"

namespace hac {
namespace {

using simt::ColumnCut;

// Rows and channels of every batch norm of the zoo at batch 128, at the size of its images.
std::set<std::pair<std::int64_t, std::int64_t>> matrices() {
  std::set<std::pair<std::int64_t, std::int64_t>> found;
  for (const std::string& name : zoo_names()) {
    for (const Op& op : lower(zoo(name), 128).ops) {
      const auto* norm = std::get_if<BatchNormSpec>(&op.spec);
      if (!norm) continue;
      found.emplace(norm->n * norm->h * norm->w, norm->c);
      if (norm->poolable()) found.emplace(norm->n * norm->h * norm->w / 4, norm->c);
    }
  }
  return found;
}

std::int64_t blocks(const ColumnCut& cut) { return cut.tiles * cut.chunks; }

// Two on each multiprocessor of an H100, or what is left to one row a thread in the least blocks.
bool is_spread(const ColumnCut& cut) {
  return blocks(cut) >= 2 * 132 || (cut.threads == 64 && cut.rows_each == cut.rows_at_once());
}

TEST(ColumnCut, SpreadsEveryBatchNormOfTheZoo) {
  const auto all = matrices();
  EXPECT_GE(all.size(), 60u) << "the zoo was not found";
  for (const auto& [rows, c] : all) {
    for (const int vector : {8, 4, 1}) {
      if (c % vector != 0) continue;
      const ColumnCut sum = ColumnCut::to_sum(rows, c, vector, 2),
                      walk = ColumnCut::to_walk(rows, c, vector);
      const std::string what =
          std::to_string(rows) + " x " + std::to_string(c) + " by " + std::to_string(vector);
      EXPECT_TRUE(is_spread(sum)) << what << ": sums in " << blocks(sum);
      EXPECT_TRUE(is_spread(walk)) << what << ": a walk in " << blocks(walk);
      for (const ColumnCut& cut : {sum, walk}) {
        EXPECT_GE(cut.chunks * cut.rows_each, rows) << what;
        EXPECT_LT((cut.chunks - 1) * cut.rows_each, rows) << what << ": a block has nothing to do";
        EXPECT_GE(cut.tiles * cut.lanes * vector, c) << what;
      }
      // Of these a thread of a tile's last block adds.
      EXPECT_LE(ceil_div(sum.chunks, sum.rows_at_once()), 50) << what;
    }
  }
}

}  // namespace
}  // namespace hac
