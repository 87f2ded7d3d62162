// libhacscale_nccl.so: the one file that knows NCCL. A rank's row goes to each other one directly,
// which for gradients is what a ring of all-reduce sends, and leaves the order of the sums to us.

#include <nccl.h>

#include <exception>

#include "engine/parallel/device_group.h"
#include "engine/parallel/nccl/nccl_stream.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

void check(ncclResult_t result, const char* call) {
  if (result == ncclSuccess) return;
  const std::string detail = ncclGetLastError(nullptr);
  throw DeviceError(std::string("NCCL: ") + call + ": " + ncclGetErrorString(result) +
                    (detail.empty() ? "" : ": " + detail) +
                    " (hint: NCCL_DEBUG=INFO; one GPU for each rank)");
}

class NcclGroup : public DeviceGroup {
 public:
  NcclGroup(const std::string& id, int rank, int size) : rank_(rank), size_(size) {
    ncclUniqueId unique{};
    if (id.size() != sizeof unique.internal) throw DeviceError("NCCL: a malformed id");
    id.copy(unique.internal, sizeof unique.internal);
    check(ncclCommInitRank(&comm_, size, unique, rank), "ncclCommInitRank");
  }
  // Waits for the other ranks: where an error ends this one, that is for the launcher to notice.
  ~NcclGroup() override {
    if (std::uncaught_exceptions() == 0) ncclCommDestroy(comm_);
  }
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  bool on_device() const override { return true; }

 protected:
  void exchange_rows(Context& ctx, const float* out, float* in, std::size_t n) override {
    const cudaStream_t stream = nccl_stream(ctx);
    check(ncclGroupStart(), "ncclGroupStart");
    for (int r = 0; r < size_; ++r) {
      check(ncclSend(out + r * n, n, ncclFloat, r, comm_, stream), "ncclSend");
      check(ncclRecv(in + r * n, n, ncclFloat, r, comm_, stream), "ncclRecv");
    }
    check(ncclGroupEnd(), "ncclGroupEnd");
  }

  void collect_rows(Context& ctx, const float* out, float* in, std::size_t n) override {
    check(ncclAllGather(out, in, n, ncclFloat, comm_, nccl_stream(ctx)), "ncclAllGather");
  }

 private:
  const int rank_, size_;
  ncclComm_t comm_ = nullptr;
};

std::string make_id() {
  ncclUniqueId id;
  check(ncclGetUniqueId(&id), "ncclGetUniqueId");
  return {id.internal, sizeof id.internal};
}

std::unique_ptr<DeviceGroup> join_ranks(const std::string& id, int rank, int size) {
  return std::make_unique<NcclGroup>(id, rank, size);
}

}  // namespace
}  // namespace hac

extern "C" hac::Nccl hacscale_open_nccl() {
  return {.interface = hac::nccl_interface, .make_id = hac::make_id, .join = hac::join_ranks};
}
