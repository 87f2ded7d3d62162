#include "models/deploy/onnx.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/loader/input_transform.h"
#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "models/deploy/inference_session.h"

namespace hac {

void require_onnx_size(const Architecture& arch) {
  constexpr std::int64_t most =
      (std::int64_t{1} << 31) - (std::int64_t{1} << 22);  // the rest: nodes
  const std::int64_t bytes = count(arch).weight_bytes;
  if (bytes <= most) return;
  throw ConfigError(fmt::format(
      "ONNX file of '{}': expected at most 2 GiB of weights, protobuf's limit, got {:.1f} GiB",
      arch.name, static_cast<double>(bytes) / (std::int64_t{1} << 30)));
}

TensorFile onnx_example(const Model& model, const OnnxOptions& options,
                        const std::optional<TrainedOn>& data, std::uint64_t seed) {
  const Graph& graph = model.graph();
  const std::int64_t n = options.batch > 0 ? options.batch : 2, c = graph.input[1],
                     side = graph.input[2];
  const Tensor images = Tensor::empty({n, c, side, side});
  Tensor input = images;
  if (options.with_preprocessing) {
    const InputTransform transform(data.value().preprocessing, side);
    fill_uniform(images, seed, "input", 0.5);
    input = Tensor::empty({n, side, side, c}, Dtype::u8);
    float* x = images.as<float>();
    for (std::int64_t i = 0; i < images.numel(); ++i) {
      const std::int64_t image = i / (c * side * side), channel = i / (side * side) % c,
                         at = (image * side * side + i % (side * side)) * c + channel;
      const auto pixel = static_cast<std::uint8_t>(std::min(255.f, 256 * (x[i] + 0.5f)));
      input.as<std::uint8_t>()[at] = pixel;
      x[i] = pixel * transform.scale()[channel] + transform.shift()[channel];
    }
  } else {
    fill_normal(images, seed, "input", 1);
  }
  return {.tensors = {{"input", input}, {"logits", InferenceSession(model, n).run(images)}}};
}

}  // namespace hac
