#include "engine/parallel/device_group.h"

namespace hac {
namespace {

std::span<float> floats(const Tensor& host) {
  return {static_cast<float*>(host.data()), static_cast<std::size_t>(host.numel())};
}

class ThroughHost : public DeviceGroup {
 public:
  explicit ThroughHost(Group& group) : group_(group) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  bool recordable() const override { return false; }

  void exchange(Context& ctx, const Tensor& out, const Tensor& in) override {
    by_host(ctx, out, in, [this](auto from, auto to) { group_.exchange(from, to); });
  }
  void collect(Context& ctx, const Tensor& out, const Tensor& in) override {
    by_host(ctx, out, in, [this](auto from, auto to) { group_.collect(from, to); });
  }

 private:
  template <class Call>
  void by_host(Context& ctx, const Tensor& out, const Tensor& in, Call call) {
    if (ctx.device().kind == DeviceKind::cpu) return call(floats(out), floats(in));
    std::vector<float> from(out.numel()), to(in.numel());
    ctx.runtime().copy_out(ctx, from.data(), out.data(), from.size() * sizeof(float));
    call(std::span<const float>(from), std::span(to));
    ctx.runtime().copy_in(ctx, in.data(), to.data(), to.size() * sizeof(float));
  }

  Group& group_;
};

}  // namespace

std::unique_ptr<DeviceGroup> through_host(Group& group) {
  return std::make_unique<ThroughHost>(group);
}

}  // namespace hac
