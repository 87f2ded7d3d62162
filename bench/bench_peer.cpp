// Our side of compare_peers.py, in the protocol that every peer there speaks:
//   bench_peer '{"network": "vgg11", "width": 0.25, "batch": 128, "train": true, ...}'
// prints a line of who it is, a line of what it computes (the logits of the first batch, or the
// losses of two steps), then for each number N on its input a line of N times in milliseconds.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/bench.h"
#include "engine/autograd/ops.h"
#include "engine/device/plan_options.h"
#include "engine/io/fields_json.h"
#include "engine/io/safetensors.h"
#include "engine/optim/sgd.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "models/deploy/inference_session.h"
#include "models/zoo/arch_options.h"

using namespace hac;

namespace {

struct Case {
  std::string network;
  double width = 1;
  std::int64_t batch = 1;
  bool train = false;
  Dtype dtype = Dtype::f32;
  double lr = 0.01;
  int threads = 1;
  Convolutions conv = Convolutions::fast;
  Dtype weights = Dtype::f32;
  std::string tensors;  // a safetensors file: the weights by name, "images", "labels"

  Fields fields() {
    return Fields()
        .add("network", network)
        .add("width", width)
        .add("batch", batch)
        .add("train", train)
        .add("dtype", dtype)
        .add("lr", lr)
        .add("threads", threads, {1, 1024})
        .add("conv", conv, {.omit = true})
        .add("weights", weights, {.omit = true})
        .add("tensors", tensors);
  }
};

// Times a call as often as each line of the input says.
void answer(const std::function<void()>& call) {
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<double> times(std::stoi(line));
    for (double& t : times) t = bench::milliseconds(call);
    fmt::print("[{:.4f}]\n", fmt::join(times, ", "));
    std::fflush(stdout);
  }
}

void say_values(const std::vector<float>& values) {
  fmt::print("{{\"values\": [{:.7g}]}}\n", fmt::join(values, ", "));
  std::fflush(stdout);
}

// Without what is random in training: the peers' losses are compared with ours.
Architecture architecture(const Case& c) {
  ArchOptions options;
  if (c.width != 1) options.width = c.width;
  Architecture arch = resolve(c.network, options);
  for (Layer& layer : arch.layers) {
    if (auto* dropout = std::get_if<Dropout>(&layer)) dropout->p = 0;
    if (auto* block = std::get_if<MBConv>(&layer)) block->p = 0;
  }
  return arch;
}

void run(const Case& c) {
  const Architecture arch = architecture(c);
  const Machine machine = this_machine();
  fmt::print("{{\"name\": \"oneDNN {}\", \"isa\": \"{}\", \"resident\": {}}}\n", machine.onednn,
             machine.isa, peak_resident_bytes());

  auto state = load_safetensors(c.tensors).tensors;
  const Tensor images = state.extract("images").mapped();
  const Tensor labels = state.extract("labels").mapped();
  Model model(arch, 0, {}, c.dtype);
  model.load_state(state);
  state.clear();
  if (!c.train) {
    InferenceSession session(model, c.batch);
    say_values(session.run(images).to_vector());
    return answer([&] { session.run(images); });
  }
  Sgd sgd(model.parameters(), {});
  float loss = 0;
  const auto step = [&] {
    model.zero_grad();
    const Var mean = ops::softmax_cross_entropy(model.forward(images), labels).loss;
    backward(mean);
    sgd.step(c.lr);
    loss = mean.value().item();
  };
  step();
  const float first = loss;
  step();
  say_values({first, loss});
  answer(step);
}

}  // namespace

int main(int argc, char** argv) {
  limit_openmp_spinning(argv);
  try {
    if (argc != 2) throw ConfigError("usage: bench_peer JSON");
    Case c;
    read_json(parse_json(argv[1], "case"), c.fields(), "case");
    set_num_threads(c.threads);
    set_convolutions({}, c.conv);
    set_inference_weights({}, c.weights);
    run(c);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_peer: {}\n", e.what());
    return 1;
  }
}
