#include "kernels/cpu/control_group.h"

#include <charconv>
#include <fstream>
#include <sstream>

namespace hac::cpu {
namespace {

bool lists(const std::string& controllers, const std::string& wanted) {
  std::istringstream in(controllers);
  for (std::string one; std::getline(in, one, ',');) {
    if (one == wanted) return true;
  }
  return false;
}

// "/a/b" below a mount -> MOUNT/a/b, MOUNT/a, MOUNT.
void append_levels(std::vector<std::string>& folders, const std::string& mount, std::string path) {
  if (path.find("..") != std::string::npos) path.clear();  // seen from another namespace
  while (!path.empty() && path != "/") {
    folders.push_back(mount + path);
    path.erase(path.rfind('/'));
  }
  folders.push_back(mount);
}

}  // namespace

std::vector<std::string> control_groups(const std::string& root, const std::string& controller) {
  const std::string mounts = root + "/sys/fs/cgroup";
  std::vector<std::string> folders;
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // ID:CONTROLLERS:PATH, none named in v2
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) append_levels(folders, mounts, path);
    if (lists(controllers, controller)) append_levels(folders, mounts + "/" + controller, path);
  }
  folders.insert(folders.end(), {mounts, mounts + "/" + controller});
  return folders;
}

std::optional<std::size_t> number_in(const std::string& path, const std::string& field) {
  std::ifstream in(path);
  std::string line, word;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    if (!field.empty() && (!(words >> word) || word != field)) continue;
    if (words >> word) {
      std::size_t value = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
      if (error == std::errc{}) return value;
    }
    if (field.empty()) return {};
  }
  return {};
}

}  // namespace hac::cpu
