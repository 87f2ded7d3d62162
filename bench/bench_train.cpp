// Training step against its floor: VGG11 at batch 128, full width and slim. Prints, each pair taken
// in one run:
//   step / sum of oneDNN's bare direct convolutions     (all three passes, buffers cache-warm)
//   step with the loader / step on one resident batch   (CIFAR sizes, crop and flip)
//   peak resident memory / its formula
//   what a step costs outside its convolutions, by kind of operation
// usage: bench_train [rounds]

#include <fmt/format.h>

#include <map>

#include "bench/bare.h"
#include "bench/bench.h"
#include "data/loader/loader.h"
#include "data/sets/image_set.h"
#include "engine/autograd/ops.h"
#include "engine/nn/layers.h"
#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "kernels/core/machine.h"
#include "kernels/core/random.h"
#include "models/arch/counters.h"
#include "models/model.h"
#include "models/zoo/arch_options.h"

using namespace hac;

namespace {

constexpr std::int64_t kBatch = 128;

struct Trainer {
  Model model;
  Sgd sgd;
  explicit Trainer(const Architecture& arch) : model(arch, 1), sgd(model.parameters(), {}) {}

  void step(const Tensor& images, const Tensor& labels) {
    model.zero_grad();
    const auto [loss, probs] = ops::softmax_cross_entropy(model.forward(images), labels);
    backward(loss);
    sgd.step(0.01);
  }
};

// As many random images as ten classes and a few epochs of batches need, in CIFAR's size.
DatasetPtr cifar_sized() {
  constexpr std::int64_t n = 20 * kBatch;
  ImageSet set{.channels = 3, .resolution = 32, .classes = std::vector<std::string>(10)};
  for (int i = 0; i < 10; ++i) set.classes[i] = std::to_string(i);
  const Philox random{1};
  for (std::int64_t i = 0; i < n * 3 * 32 * 32; ++i) {
    set.pixels.push_back(static_cast<std::uint8_t>(random.bits(i)));
  }
  for (std::int64_t i = 0; i < n; ++i) set.labels.push_back(static_cast<std::int32_t>(i % 10));
  return in_memory(std::move(set));
}

// All three passes of every convolution; the first has no backward-data.
void add_convolutions(bench::BareChain& chain, const Graph& graph) {
  bool first = true;
  for (const Op& op : graph.ops) {
    const auto* conv = std::get_if<Conv2dSpec>(&op.spec);
    if (!conv) continue;
    Conv2dSpec s = *conv;
    for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
      if (first && pass == Pass::backward_data) continue;
      s.pass = pass;
      chain.add(s);
    }
    first = false;
  }
}

// Milliseconds of every convolution alone, its buffers warm from the run before.
double bare_milliseconds(bench::BareChain& chain) {
  double total = 0;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    chain.run(i);
    total += bench::milliseconds([&] { chain.run(i); });
  }
  return total;
}

// One operation of a network that is no convolution, forward and backward as the tape runs them;
// pooled: a batch norm and the max pool behind it.
class Alone {
 public:
  Alone(const OpSpec& spec, bool pooled) : x_(Tensor::activation(spec.in_shape()), true) {
    fill_normal(x_.value(), 1, "x", 1);
    if (const auto* norm = std::get_if<BatchNormSpec>(&spec)) {
      auto layer = std::make_unique<nn::BatchNorm2d>("norm", *norm);
      forward_ = [this, pooled, layer = layer.get()] {
        return pooled ? layer->forward_max_pool(x_) : layer->forward(std::span(&x_, 1));
      };
      layer_ = std::move(layer);
    } else if (const auto* linear = std::get_if<LinearSpec>(&spec)) {
      layer_ = std::make_unique<nn::Linear>("linear", *linear, 1);
      forward_ = [this] { return layer_->forward(std::span(&x_, 1)); };
    } else if (const auto* pool = std::get_if<Pool2dSpec>(&spec)) {
      forward_ = [this, s = *pool] {
        return ops::pool(x_, s.mode, {.kernel = s.kernel, .stride = s.stride, .pad = s.pad});
      };
    } else {
      forward_ = [this] { return ops::flatten(x_); };
    }
  }

  double milliseconds() {
    for (const Parameter& p : parameters()) p.var.set_grad({});
    x_.zero_grad();
    Var y;
    const double forward = bench::milliseconds([&] { y = forward_(); });
    // The tape alone holds the gradient, as that of a layer behind.
    Tensor dy = y.value().clone();
    const Var loss = make_var("loss", Tensor::zeros({}), {y}, [dy](const Tensor&) mutable {
      return std::vector<Tensor>{std::exchange(dy, {})};
    });
    y = {};
    dy = {};
    return forward + bench::milliseconds([&] { backward(loss); });
  }

 private:
  std::vector<Parameter> parameters() const {
    return layer_ ? layer_->parameters : std::vector<Parameter>();
  }

  Var x_;
  std::unique_ptr<Module> layer_;
  std::function<Var()> forward_;
};

// Prints what the operations of VGG11 cost outside the convolutions, the least of each.
void outside_convolutions(const Graph& graph, Trainer& trainer, const Tensor& labels, int rounds) {
  std::vector<std::unique_ptr<Alone>> alone;
  std::vector<std::pair<std::string, std::function<double()>>> timed;
  const std::vector<int> readers = reader_counts(graph);
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    const OpSpec& spec = graph.ops[i].spec;
    if (std::holds_alternative<Conv2dSpec>(spec)) continue;
    const bool pooled = pooled_alone(graph, readers, i);
    alone.push_back(std::make_unique<Alone>(spec, pooled));
    timed.emplace_back(pooled ? "batchnorm+maxpool" : spec.kind(),
                       [a = alone.back().get()] { return a->milliseconds(); });
    i += pooled;
  }
  const Var logits(Tensor::zeros(graph.ops.back().out()), true);
  timed.emplace_back("loss", [&] {
    return bench::milliseconds([&] { backward(ops::softmax_cross_entropy(logits, labels).loss); });
  });
  timed.emplace_back("sgd", [&] { return bench::milliseconds([&] { trainer.sgd.step(0); }); });
  std::vector<double> least(timed.size(), std::numeric_limits<double>::infinity());
  for (int round = 0; round < 3 + rounds; ++round) {
    for (std::size_t i = 0; i < timed.size(); ++i) least[i] = std::min(least[i], timed[i].second());
  }
  double sum = 0;
  std::map<std::string, double> kinds;
  for (std::size_t i = 0; i < timed.size(); ++i) {
    sum += least[i];
    kinds[timed[i].first] += least[i];
  }
  fmt::print("  outside convolutions       {:.2f} ms:", sum);
  for (const auto& [kind, ms] : kinds) fmt::print("  {} {:.2f}", kind, ms);
  fmt::print("\n");
}

// What training must hold, from the specs alone: parameters, gradients, momentum, the activations
// that backward reads (of a map that is pooled at once, a byte a maximum), and the two largest
// activation gradients.
double formula_bytes(const Graph& graph, std::int64_t params) {
  double activations = 0;
  std::vector<double> outputs;
  const std::vector<int> readers = reader_counts(graph);
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const double bytes = 4.0 * storage_elements(layout_of({}, op.out()), op.out());
    if (pooled_alone(graph, readers, i)) {
      activations += bytes / 16;
      continue;
    }
    if (!std::holds_alternative<FlattenSpec>(op.spec)) activations += bytes;
    outputs.push_back(bytes);
  }
  std::sort(outputs.rbegin(), outputs.rend());
  return 3 * 4.0 * params + activations + 4.0 * graph.input.numel() + outputs[0] + outputs[1];
}

void run(double width, int rounds, bool with_memory) {
  ArchOptions options{.classes = 10};
  if (width != 1) options.width = width;
  const Architecture arch = resolve("vgg11", options);
  const Graph graph = lower(arch, kBatch);
  const std::size_t resident_before = peak_resident_bytes();
  Trainer trainer(arch);
  const Tensor images = Tensor::empty(graph.input);
  fill_normal(images, 1, "images", 1);
  std::vector<std::int32_t> label_values(kBatch);
  for (std::int64_t i = 0; i < kBatch; ++i) label_values[i] = static_cast<std::int32_t>(i % 10);
  const Tensor labels = Tensor::from(label_values, {kBatch});

  trainer.step(images, labels);
  trainer.step(images, labels);
  const double resident = static_cast<double>(peak_resident_bytes() - resident_before);
  const double scratch = static_cast<double>(Context::current().scratch_bytes());
  const double formula = formula_bytes(graph, count(arch).params) + scratch;

  Loader loader(cifar_sized(), {.batch = kBatch});
  std::int64_t epoch = 0;
  loader.start(epoch);
  const auto with_loader = [&] {
    Batch batch;
    while (!loader.next(batch) || batch.size() != kBatch) loader.start(++epoch);
    trainer.step(batch.images, batch.labels);
  };
  bench::BareChain chain;
  add_convolutions(chain, graph);
  const auto [step, loaded, bare] = bench::least<3>(
      rounds,
      {[&] { return bench::milliseconds([&] { trainer.step(images, labels); }); },
       [&] { return bench::milliseconds(with_loader); }, [&] { return bare_milliseconds(chain); }});
  fmt::print("vgg11 x{:<5} b{}  step {:8.2f} ms ({:.0f} images/s)  bare convolutions {:8.2f} ms\n",
             width, kBatch, step, 1e3 * kBatch / step, bare);
  fmt::print("  step / bare convolutions   {:.3f}   (of oneDNN, direct; wanted <= {})\n",
             step / bare, width == 1 ? 1.3 : 1.6);
  fmt::print("  with loader / resident     {:.3f}   (floor 1, wanted <= 1.05)\n", loaded / step);
  outside_convolutions(graph, trainer, labels, rounds);
  if (with_memory) {
    fmt::print("  peak memory / formula      {:.3f}   ({:.0f} / {:.0f} MiB, wanted <= 1.2)\n",
               resident / formula, resident / (1 << 20), formula / (1 << 20));
  }
}

}  // namespace

int main(int argc, char** argv) {
  limit_openmp_spinning(argv);
  const int rounds = argc > 1 ? std::stoi(argv[1]) : 10;
  const Machine m = this_machine();
  fmt::print("{}, {} threads, {}, oneDNN {}\n", m.cpu, m.threads, m.isa, m.onednn);
  run(1, rounds, true);
  run(0.25, 2 * rounds, false);
}
