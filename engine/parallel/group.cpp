#include "engine/parallel/group.h"

#include <fmt/format.h>

#include "kernels/core/error.h"

namespace hac {

int rank_of(const Group* group) { return group ? group->rank() : 0; }

bool any(Group& group, bool here) {
  bool anywhere = false;
  for (const std::string& there : group.gather(here ? "1" : "")) anywhere |= !there.empty();
  return anywhere;
}

void by_rank_0(Group* group, const std::function<void()>& work) {
  if (!group) return work();
  std::string wrong;
  try {
    if (group->rank() == 0) work();
  } catch (const Error& error) {
    wrong = error.what();
  }
  wrong = group->gather(wrong)[0];
  if (!wrong.empty()) throw ConfigError(wrong);
}

void require_same(Group& group, const std::string& work) {
  const std::vector<std::string> given = group.gather(work);
  for (std::size_t r = 1; r < given.size(); ++r) {
    if (given[r] == given[0]) continue;
    throw ConfigError(
        fmt::format("rank {}: expected the training, network, data and version of rank 0, got "
                    "others (hint: the same command and files on every node)",
                    r));
  }
}

}  // namespace hac
