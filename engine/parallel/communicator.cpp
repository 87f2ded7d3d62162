#include "engine/parallel/communicator.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "kernels/core/error.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

constexpr const char* library_name = "libhacscale_mpi.so";

class Alone : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void send(int, std::string_view) override {}
  std::optional<Message> receive() override { return {}; }
  std::vector<std::string> gather(std::string_view bytes) override { return {std::string(bytes)}; }
  void exchange(std::span<const float> out, std::span<float> in) override {
    std::copy(out.begin(), out.end(), in.begin());
  }
  void collect(std::span<const float> out, std::span<float> in) override { exchange(out, in); }
  void leave() override {}
};

std::optional<int> number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (!text || !*text) return {};
  return std::atoi(text);
}

// Beside the program, or where a package puts it.
std::string library_path() {
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& place : {folder, folder.parent_path() / "lib/hacscale"}) {
    if (fs::exists(place / library_name, ignored)) return (place / library_name).string();
  }
  return library_name;
}

}  // namespace

Launched launched() {
  constexpr const char* names[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                      {"PMI_RANK", "PMI_SIZE"},
                                      {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};
  for (const auto& [rank, size] : names) {
    const auto r = number_in(rank), s = number_in(size);
    if (r && s && *s > 0) return {*r, *s};
  }
  return {};
}

std::unique_ptr<Communicator> open_communicator() {
  const Launched where = launched();
  if (where.size == 1) return std::make_unique<Alone>();
  const std::string path = library_path();
  // Global, because MPI's own plugins look for its symbols there. Never closed.
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    throw DeviceError(fmt::format(
        "MPI: {} processes were started together, and {} cannot be opened: {} (hint: build where "
        "MPI is installed, as by libopenmpi-dev, or start one process)",
        where.size, library_name, ::dlerror()));
  }
  const auto open = reinterpret_cast<OpenMpi>(::dlsym(library, "hacscale_open_mpi"));
  if (!open) {
    throw DeviceError(fmt::format("MPI: '{}' is no library of this program", path));
  }
  const MpiOpened opened = open(communicator_interface);
  if (!opened.communicator) throw DeviceError(fmt::format("MPI: {}", opened.error));
  std::unique_ptr<Communicator> world(opened.communicator);
  if (world->size() != where.size) {
    throw DeviceError(
        fmt::format("MPI: {} processes were started together, and {} knows {} (hint: it was built "
                    "with another MPI than that of the launcher)",
                    where.size, library_name, world->size()));
  }
  return world;
}

}  // namespace hac
