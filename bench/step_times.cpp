#include "bench/step_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "engine/tensor/random.h"
#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/runtime.h"
#include "kernels/ops/conv2d_channels.h"
#include "scaling/latency/step_model.h"

namespace hac::bench {
namespace {

// Memory that the products of a step read, each its own part, and one that all write.
class Operands {
 public:
  Operands(Device device, Dtype dtype, const std::vector<OpSpec>& products) {
    std::int64_t read = 0, written = 0;
    for (const OpSpec& op : products) {
      const std::int64_t bytes = tensors_of(op);
      read += bytes;
      written = std::max(written, bytes);
    }
    read_ = random(read, dtype).to(device);
    written_ = Tensor::empty({written}, Dtype::u8, device);
  }

  // The next so many bytes, aligned.
  const void* read(const Shape& shape, Dtype dtype) {
    const std::size_t at = at_;
    at_ += round_up(shape.numel() * static_cast<std::int64_t>(size_of(dtype)), alignment);
    return read_.as<std::uint8_t>() + at;
  }
  void* written() { return written_.data(); }
  void rewind() { at_ = 0; }

 private:
  static constexpr std::int64_t alignment = 256;

  // Of all tensors of a product, the bias among them.
  static std::int64_t tensors_of(const OpSpec& op) {
    const auto* conv = std::get_if<Conv2dSpec>(&static_cast<const AnySpec&>(op));
    const Cost cost = conv ? with_padded_channels(*conv).cost() : op.cost();
    return cost.weight_bytes + cost.activation_bytes + 4 * alignment;
  }
  // Small normal numbers, of which a block is repeated: products of zeros run faster.
  static Tensor random(std::int64_t bytes, Dtype dtype) {
    const Tensor floats = Tensor::empty({1 << 18});
    fill_normal(floats, 1, "bench", 1);
    const Tensor block = floats.cast(dtype);
    const Tensor all = Tensor::empty({bytes}, Dtype::u8);
    const auto size = static_cast<std::int64_t>(block.bytes());
    for (std::int64_t at = 0; at < bytes; at += size) {
      std::memcpy(all.as<std::uint8_t>() + at, block.data(), std::min(size, bytes - at));
    }
    return all;
  }

  Tensor read_, written_;
  std::size_t at_ = 0;
};

void run(const Conv2dSpec& s, Device device, Operands& o) {
  const auto in = [&] { return o.read(with_padded_channels(s).in_shape(), s.dtype); };
  const auto out = [&] { return o.read(s.out_shape(), s.dtype); };
  const auto weights = [&] { return o.read(s.weight_shape(), s.dtype); };
  if (s.pass == Pass::forward) {
    const void *x = in(), *w = weights(), *bias = s.bias ? o.read({s.k}, s.dtype) : nullptr;
    conv2d_kernels.run(&Conv2dKernels::forward, device, s, x, w, bias, o.written());
  } else if (s.pass == Pass::backward_data) {
    const void *dy = out(), *w = weights();
    conv2d_kernels.run(&Conv2dKernels::backward_data, device, s, dy, w, o.written());
  } else {
    const void *x = in(), *dy = out();
    conv2d_kernels.run(&Conv2dKernels::backward_weights, device, s, x, dy, o.written(), nullptr);
  }
}

void run(const LinearSpec& s, Device device, Operands& o) {
  const void *x = o.read(s.in_shape(), s.dtype), *w = o.read(s.weight_shape(), s.dtype);
  const void* bias = s.bias ? o.read({s.out}, s.dtype) : nullptr;
  linear_kernels.run(&LinearKernels::forward, device, s, x, w, bias, o.written());
}

double products_us(const StepWork& work, Device device, Dtype dtype, int rounds) {
  Operands operands(device, dtype, work.products);
  return 1e3 * recorded_ms(Context::current(device), 1, rounds, [&] {
           operands.rewind();
           for (const OpSpec& op : work.products) {
             if (const auto* conv = std::get_if<Conv2dSpec>(&op)) run(*conv, device, operands);
             if (const auto* linear = std::get_if<LinearSpec>(&op)) run(*linear, device, operands);
           }
         });
}

// Between kernels that add two numbers.
double launch_us(Device device, int rounds) {
  constexpr int kernels = 160;
  const Tensor x = Tensor::zeros({1}, Dtype::f32, device), y = x.clone();
  const AddSpec one{.shape = {1}};
  return 1e3 / kernels * recorded_ms(Context::current(device), 1, rounds, [&] {
           for (int i = 0; i < kernels; ++i) {
             add_kernels.run(&AddKernels::forward, device, one, y.data(), x.data(), y.data());
           }
         });
}

}  // namespace

std::optional<DeviceProfile> step_profile(Device device, bool tiny) {
  auto profile = profile_of_device(runtime_of(device).name(device));
  if (!profile && tiny) profile = load_device_profile("h100");
  return profile;
}

nlohmann::ordered_json compare_step(const Model& model, std::int64_t batch, double step_ms,
                                    const DeviceProfile& profile, int rounds) {
  const Device device = model.device();
  const StepWork work = step_work(model.arch(), batch, model.dtype());
  const StepTime time = StepModel(profile, model.dtype()).predict(work);
  const double products = products_us(work, device, model.dtype(), rounds);
  const struct {
    const char* part;
    double predicted, measured;
  } rows[] = {{"step", time.us(), 1e3 * step_ms},
              {"products", time.products_us(), products},
              {"own", time.own_us(), 1e3 * step_ms - products},
              {"launch", time.launch_us(), launch_us(device, rounds)}};
  nlohmann::ordered_json j{{"profile", profile.name}, {"floor_us", time.floor_us()}};
  fmt::print("  {:<10} {:>13} {:>12} {:>20}   ({}, floor {:.1f} us)\n", "part", "predicted us",
             "measured us", "measured / predicted", profile.name, time.floor_us());
  for (const auto& [part, predicted, measured] : rows) {
    const double ratio = measured / predicted;
    fmt::print("  {:<10} {:>13.2f} {:>12.2f} {:>20.2f}\n", part, predicted, measured, ratio);
    j[part] = {{"predicted_us", predicted}, {"measured_us", measured}, {"ratio", ratio}};
  }
  return j;
}

}  // namespace hac::bench
