// One figure for comparison with another program: bench_peer CASE ROUNDS THREADS prints
// {"case", "median_ms"}. Cases: vgg11-train (a step at batch 128), vgg11-infer, resnet18-infer.

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "bench/bench.h"
#include "engine/autograd/ops.h"
#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "kernels/core/machine.h"
#include "models/deploy/inference_session.h"
#include "models/zoo/zoo.h"

using namespace hac;

namespace {

Tensor random_images(const Shape& shape) {
  const Tensor images = Tensor::empty(shape);
  fill_normal(images, 1, "images", 1);
  return images;
}

double train_step(int rounds) {
  Model model(zoo("vgg11"), 1);
  Sgd sgd(model.parameters(), {});
  const Tensor images = random_images({128, 3, 32, 32});
  std::vector<std::int32_t> labels(128);
  for (int i = 0; i < 128; ++i) labels[i] = i % 10;
  const Tensor target = Tensor::from(labels, {128});
  return bench::interleaved(
      rounds, {[&] {
        model.zero_grad();
        backward(ops::softmax_cross_entropy(model.forward(images), target).loss);
        sgd.step(0.01);
      }})[0];
}

double infer(const std::string& name, int rounds) {
  InferenceSession net{Model(zoo(name))};
  const Tensor images = random_images(net.graph().input);
  return bench::interleaved(rounds, {[&] { net.run(images); }})[0];
}

}  // namespace

int main(int argc, char** argv) {
  limit_openmp_spinning(argv);
  if (argc != 4) {
    fmt::print(stderr, "usage: bench_peer vgg11-train|vgg11-infer|resnet18-infer ROUNDS THREADS\n");
    return 2;
  }
  const std::string what = argv[1];
  const int rounds = std::stoi(argv[2]);
  set_num_threads(std::stoi(argv[3]));
  const double ms =
      what == "vgg11-train" ? train_step(rounds) : infer(what.substr(0, what.find('-')), rounds);
  fmt::print("{{\"case\": \"{}\", \"median_ms\": {:.4f}}}\n", what, ms);
}
