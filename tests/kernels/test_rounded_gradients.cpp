// Off the CPU a convolution's gradient stays in 16 bits: whoever reads it sees the numbers of its
// copy in f32, to the bit.

#include "kernels/ops/adamw.h"
#include "kernels/ops/loss_scale.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/taylor.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

constexpr std::int64_t kernels = 17, each = 293, n = kernels * each;  // and no multiple of 4

// run(gradient, device) -> what it left, of rounded gradients and of their copies in f32. A slice
// begins where vectors may not.
template <class Run>
void expect_same(Run run) {
  int compared = 0;
  for (const Place& place : places()) {
    if (place.device.kind == DeviceKind::cpu || place.dtype == Dtype::f32) continue;
    for (const std::int64_t begin : {0, 1}) {
      const Tensor all = random_tensor({n + 1}, 7, 0).to(place.device).cast(place.dtype);
      const Tensor rounded = all.slice(begin, begin + n);
      const std::vector<float> got = run(rounded, place.device);
      ASSERT_EQ(got, run(rounded.cast(Dtype::f32), place.device)) << place.name << " " << begin;
      EXPECT_NE(got, run(Tensor::zeros({n}, Dtype::f32, place.device), place.device));
      ++compared;
    }
  }
  EXPECT_GE(compared, 4);
}

Tensor f32_of(std::uint64_t stream, Device device) {
  return random_tensor({n}, 7, stream).to(device);
}
Tensor rate_on(Device device) { return Tensor::from(std::vector<float>{0.1f}, {1}).to(device); }

TEST(RoundedGradients, Sgd) {
  expect_same([](const Tensor& g, Device device) {
    const Tensor w = f32_of(1, device), v = f32_of(2, device), rate = rate_on(device);
    const SgdSegment segment{.grad = g.data(),
                             .weight = w.data(),
                             .velocity = v.data(),
                             .elements = n,
                             .grad_dtype = g.dtype()};
    sgd_kernels.run(&SgdKernels::step, device, SgdSpec{.weight_decay = 0.01f}, rate.data(), nullptr,
                    std::span(&segment, 1));
    return w.to_vector();
  });
}

TEST(RoundedGradients, AdamW) {
  expect_same([](const Tensor& g, Device device) {
    const Tensor w = f32_of(1, device), rate = rate_on(device),
                 first = Tensor::zeros({n}, Dtype::f32, device),
                 second = Tensor::zeros({n}, Dtype::f32, device),
                 count = Tensor::zeros({1}, Dtype::i32, device);
    const AdamWSegment segment{.grad = g.data(),
                               .weight = w.data(),
                               .first = first.data(),
                               .second = second.data(),
                               .elements = n,
                               .grad_dtype = g.dtype()};
    adamw_kernels.run(&AdamWKernels::step, device, AdamWSpec{}, rate.data(), count.data(), nullptr,
                      std::span(&segment, 1));
    return w.to_vector();
  });
}

TEST(RoundedGradients, Taylor) {
  expect_same([](const Tensor& g, Device device) {
    const Tensor w = f32_of(1, device), score = Tensor::zeros({kernels * 8}, Dtype::u8, device);
    const TaylorSegment segment{.w = w.data(),
                                .dw = g.data(),
                                .score = score.data(),
                                .kernels = kernels,
                                .weights = each,
                                .dw_dtype = g.dtype()};
    taylor_kernels.run(&TaylorKernels::accumulate, device, TaylorSpec{}, nullptr,
                       std::span(&segment, 1));
    const Tensor host = score.to(Device{});
    const auto* scores = reinterpret_cast<const double*>(host.data());
    return std::vector<float>(scores, scores + kernels);
  });
}

TEST(RoundedGradients, Unscale) {
  expect_same([](const Tensor& g, Device device) {
    const Tensor out = Tensor::empty({n}, Dtype::f32, device),
                 scale = Tensor::from(std::vector<float>{1024}, {1}).to(device),
                 counts = Tensor::zeros({3}, Dtype::i32, device);
    const GradSegment segment{
        .grad = out.data(), .elements = n, .rounded = g.data(), .dtype = g.dtype()};
    loss_scale_kernels.run(&LossScaleKernels::unscale, device, LossScaleSpec{}, scale.data(),
                           counts.data(), std::span(&segment, 1));
    EXPECT_EQ(counts.to(Device{}).as<std::int32_t>()[0], 0);
    return out.to_vector();
  });
}

}  // namespace
}  // namespace hac
