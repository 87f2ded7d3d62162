#include "engine/parallel/communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "engine/parallel/module.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

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

}  // namespace

Launched launched() {
  constexpr const char* names[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                      {"PMI_RANK", "PMI_SIZE"},
                                      {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};
  Launched where;
  for (const auto& [rank, size] : names) {
    const auto r = number_in(rank), s = number_in(size);
    if (!r || !s || *s < 1) continue;
    where = {.rank = *r, .size = *s, .on_node = *r};
    break;
  }
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}) {
    const auto local = number_in(name);
    if (!local || where.size == 1) continue;
    where.on_node = *local;
    break;
  }
  return where;
}

std::unique_ptr<Communicator> open_communicator() {
  const Launched where = launched();
  if (where.size == 1) return std::make_unique<Alone>();
  std::string why;
  const auto open =
      reinterpret_cast<OpenMpi>(find_in_module(library_name, "hacscale_open_mpi", why));
  if (!open) {
    throw DeviceError(fmt::format(
        "MPI: {} processes were started together, and {} (hint: build where MPI is installed, as "
        "by libopenmpi-dev, or start one process)",
        where.size, why));
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
