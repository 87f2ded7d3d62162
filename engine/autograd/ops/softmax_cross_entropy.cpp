#include <fmt/format.h>

#include "engine/autograd/ops.h"
#include "engine/autograd/ops/check.h"
#include "kernels/ops/softmax_xent.h"

namespace hac::ops {

XentResult softmax_cross_entropy(const Var& scores, const Tensor& given, float smoothing,
                                 std::int64_t batch) {
  const bool on_cpu = scores.device().kind == DeviceKind::cpu;
  const Var logits =
      on_cpu && scores.value().dtype() != Dtype::f32 ? cast(scores, Dtype::f32) : scores;
  const Tensor target = given.to(logits.device());
  check_rank("softmax_cross_entropy", logits.name(), logits.shape(), 2);
  const Shape& s = logits.shape();
  const bool soft = target.dtype() == Dtype::f32;
  const Shape expected = soft ? s : Shape{s[0]};
  if (target.shape() != expected || (!soft && target.dtype() != Dtype::i32)) {
    throw ShapeError(fmt::format("softmax_cross_entropy: logits {} expect targets {}, got {} {}",
                                 s.str(), expected.str(), target.shape().str(),
                                 name_of(target.dtype())));
  }
  const SoftmaxXentSpec spec{.dtype = logits.value().dtype(),
                             .n = s[0],
                             .classes = s[1],
                             .soft = soft,
                             .smoothing = smoothing,
                             .batch = batch};
  const Device device = logits.device();
  Tensor probs = Tensor::empty(s, Dtype::f32, device), loss = Tensor::empty({}, Dtype::f32, device);
  softmax_xent_kernels.run(&SoftmaxXentKernels::forward, device, spec, logits.value().data(),
                           target.data(), probs.data(), loss.data());
  Var out = make_var("softmax_cross_entropy", loss, {logits},
                     [=](const Tensor& dy) -> std::vector<Tensor> {
                       Tensor dx = Tensor::empty(probs.shape(), spec.dtype, device);
                       softmax_xent_kernels.run(&SoftmaxXentKernels::backward, device, spec,
                                                probs.data(), target.data(), dy.data(), dx.data());
                       return {dx};
                     });
  return {out, probs};
}

}  // namespace hac::ops
