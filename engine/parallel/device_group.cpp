#include "engine/parallel/device_group.h"

#include <fmt/format.h>

#include "engine/io/print.h"
#include "engine/parallel/module.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

class ThroughHost : public DeviceGroup {
 public:
  explicit ThroughHost(Group& group) : group_(group) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  bool on_device() const override { return false; }

 protected:
  void exchange_rows(Context& ctx, const float* out, float* in, std::size_t n) override {
    by_host(ctx, {out, n * size()}, {in, n * size()},
            [this](auto from, auto to) { group_.exchange(from, to); });
  }
  void collect_rows(Context& ctx, const float* out, float* in, std::size_t n) override {
    by_host(ctx, {out, n}, {in, n * size()},
            [this](auto from, auto to) { group_.collect(from, to); });
  }

 private:
  template <class Call>
  void by_host(Context& ctx, std::span<const float> out, std::span<float> in, Call call) {
    if (ctx.device().kind == DeviceKind::cpu) return call(out, in);
    std::vector<float> from(out.size()), to(in.size());
    ctx.runtime().copy_out(ctx, from.data(), out.data(), out.size_bytes());
    call(std::span<const float>(from), std::span(to));
    ctx.runtime().copy_in(ctx, in.data(), to.data(), in.size_bytes());
  }

  Group& group_;
};

// The id goes from rank 0 to all by the group.
std::unique_ptr<DeviceGroup> join(const Nccl& nccl, Group& group) {
  const std::string id = group.gather(group.rank() == 0 ? nccl.make_id() : "")[0];
  return nccl.join(id, group.rank(), group.size());
}

}  // namespace

std::unique_ptr<DeviceGroup> connect(Group& group, Device device) {
  Context::current(device);  // NCCL takes the GPU that is current
  if (const Nccl* given = group.nccl()) return join(*given, group);
  if (device.kind != DeviceKind::cuda) return through_host(group);
  std::string why;
  const auto open =
      reinterpret_cast<OpenNccl>(find_in_module("libhacscale_nccl.so", "hacscale_open_nccl", why));
  Nccl nccl;
  if (open) nccl = open();
  if (open && nccl.interface != nccl_interface) {
    why = "libhacscale_nccl.so is of another version of the program";
  }
  // All ranks or none.
  const std::vector<std::string> reasons = group.gather(why);
  for (int r = 0; r < group.size(); ++r) {
    if (reasons[r].empty()) continue;
    if (group.rank() == 0) {
      print(stderr, fmt::format("note: without NCCL gradients go through the host's memory: rank "
                                "{}: {}\n",
                                r, reasons[r]));
    }
    return through_host(group);
  }
  return join(nccl, group);
}

void DeviceGroup::exchange(Context& ctx, const Tensor& out, const Tensor& in) {
  const std::int64_t n = out.numel() / size();
  if (n * size() != out.numel() || in.numel() != out.numel()) {
    throw ShapeError(fmt::format("exchange: expected two tensors of {} equal rows, got {} and {}",
                                 size(), out.shape().str(), in.shape().str()));
  }
  exchange_rows(ctx, out.as(), in.as(), n);
}

void DeviceGroup::collect(Context& ctx, const Tensor& out, const Tensor& in) {
  if (in.numel() != out.numel() * size()) {
    throw ShapeError(fmt::format("collect: expected {} rows of {}, got {}", size(),
                                 out.shape().str(), in.shape().str()));
  }
  collect_rows(ctx, out.as(), in.as(), out.numel());
}

std::unique_ptr<DeviceGroup> through_host(Group& group) {
  return std::make_unique<ThroughHost>(group);
}

}  // namespace hac
