// NCCL's functions between threads of one process, each with a context of a simulated device, which
// is what they are given for a stream. Their work is submitted to it, so that it is recorded where
// the thread records. Ranks that call other operations, or other sizes, are an error of both.

#include "tests/support/nccl_stand_in.h"

#include <nccl.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/parallel/nccl/nccl_stream.h"
#include "kernels/core/error.h"
#include "kernels/simt/record.h"

namespace {

struct Transfer {
  bool send = false;
  int peer = 0;
  float* p = nullptr;
  std::size_t n = 0;
};
using Transfers = std::vector<Transfer>;

// All ranks of an id.
struct World {
  explicit World(int size) : given(size) {}

  void meet() {
    std::unique_lock lock(mutex);
    const int round = rounds;
    if (++waiting == static_cast<int>(given.size())) {
      waiting = 0;
      ++rounds;
      met.notify_all();
    } else if (!met.wait_for(lock, std::chrono::seconds(60), [&] { return rounds != round; })) {
      throw hac::DeviceError("NCCL's stand-in: a rank did not come");
    }
  }

  std::vector<Transfers> given;
  std::mutex mutex;
  std::condition_variable met;
  int waiting = 0, rounds = 0;
};

std::mutex worlds_mutex;
std::map<std::string, std::weak_ptr<World>> worlds;
int ids = 0;
hac::NcclCalls calls;

struct Group {
  ncclComm_t comm = nullptr;
  hac::Context* ctx = nullptr;
  Transfers transfers;
  bool open = false;
};
thread_local Group group;

}  // namespace

struct ncclComm {
  std::shared_ptr<World> world;
  int rank;
};

namespace {

// One send to each rank at most.
void transfer(const World& world, int rank) {
  for (const Transfer& to : world.given[rank]) {
    if (to.send) continue;
    const Transfer* from = nullptr;
    for (const Transfer& t : world.given[to.peer]) {
      if (t.send && t.peer == rank) from = &t;
    }
    if (!from || from->n != to.n) throw hac::DeviceError("NCCL's stand-in: ranks disagree");
    std::memcpy(to.p, from->p, to.n * sizeof(float));
  }
}

void submit(ncclComm_t comm, hac::Context& ctx, const Transfers& transfers) {
  hac::simt::submit(ctx, [=, world = comm->world, rank = comm->rank, device = ctx.device()] {
    for (const Transfer& t : transfers) {
      hac::simt::require_memory(device, t.p, t.n * sizeof(float), "NCCL's stand-in");
    }
    world->given[rank] = transfers;
    world->meet();
    transfer(*world, rank);
    world->meet();
  });
}

ncclResult_t add(bool send, const void* p, std::size_t n, int peer, ncclComm_t comm,
                 cudaStream_t stream) {
  if (!group.open) return ncclInvalidUsage;
  group.comm = comm;
  group.ctx = reinterpret_cast<hac::Context*>(stream);
  group.transfers.push_back({send, peer, static_cast<float*>(const_cast<void*>(p)), n});
  return ncclSuccess;
}

}  // namespace

namespace hac {

cudaStream_t nccl_stream(Context& ctx) { return reinterpret_cast<cudaStream_t>(&ctx); }

NcclCalls take_nccl_calls() {
  const std::lock_guard lock(worlds_mutex);
  return std::exchange(calls, {});
}

}  // namespace hac

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::lock_guard lock(worlds_mutex);
  std::memset(id, 0, sizeof *id);
  const std::string text = "stand-in " + std::to_string(++ids);
  text.copy(id->internal, sizeof id->internal);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int size, ncclUniqueId id, int rank) {
  const std::lock_guard lock(worlds_mutex);
  const std::string key(id.internal, sizeof id.internal);
  std::shared_ptr<World> world = worlds[key].lock();
  if (!world) worlds[key] = world = std::make_shared<World>(size);
  if (rank < 0 || rank >= size || std::ssize(world->given) != size) return ncclInvalidArgument;
  *comm = new ncclComm{world, rank};
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  const std::lock_guard lock(worlds_mutex);
  ++calls.destroyed;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  group = {.open = true};
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (!group.open || !group.comm) return ncclInvalidUsage;
  group.open = false;
  submit(group.comm, *group.ctx, group.transfers);
  const std::lock_guard lock(worlds_mutex);
  ++calls.exchanges;
  return ncclSuccess;
}

ncclResult_t ncclSend(const void* p, std::size_t n, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return type == ncclFloat ? add(true, p, n, peer, comm, stream) : ncclInvalidArgument;
}

ncclResult_t ncclRecv(void* p, std::size_t n, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return type == ncclFloat ? add(false, p, n, peer, comm, stream) : ncclInvalidArgument;
}

ncclResult_t ncclAllGather(const void* out, void* in, std::size_t n, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  if (type != ncclFloat) return ncclInvalidArgument;
  Transfers all;
  for (int r = 0; r < std::ssize(comm->world->given); ++r) {
    all.push_back({true, r, static_cast<float*>(const_cast<void*>(out)), n});
    all.push_back({false, r, static_cast<float*>(in) + r * n, n});
  }
  submit(comm, *reinterpret_cast<hac::Context*>(stream), all);
  const std::lock_guard lock(worlds_mutex);
  ++calls.gathers;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t) { return "refused by the stand-in"; }
const char* ncclGetLastError(ncclComm_t) { return ""; }

}  // extern "C"
