#pragma once
// What the control groups (cgroup v1 and v2) of this process say. A group's limits hold for all
// groups below it, so each level counts, from the process's own group up to the root.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace hac::cpu {

// The folders of a controller's groups, "cpu" or "memory", innermost first, whether they exist or
// not. A container sees its own group as the top one, whatever the process is told it is called.
std::vector<std::string> control_groups(const std::string& root, const std::string& controller);

// The first number of the file, or the one behind `field` at the beginning of a line; none where
// there is no such file or no number, such as "max" or v1's -1.
std::optional<std::size_t> number_in(const std::string& path, const std::string& field = "");

}  // namespace hac::cpu
