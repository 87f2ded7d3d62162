// Trains a small network, observes which layers matter, widens them within twice the latency that
// this machine takes, trains the result and runs it. usage: scale [fashion-mnist|cifar10 DIR]
#include <cstdio>

#include "scaling/api/hacscale.h"

using namespace hac;

int main(int argc, char** argv) try {
  TrainConfig config{.data = {.name = "synthetic", .limit_train = 600, .limit_test = 200},
                     .epochs = 3};
  config.schedule.lr = 0.05;
  config.quiet = true;
  if (argc > 1) config.data = {.name = argv[1], .dir = argc > 2 ? argv[2] : ""};
  const DataSplit data = open_data(config.data);
  const Architecture baseline = resolve("vgg11", {.width = 0.125,
                                                  .classes = std::ssize(data.train->classes()),
                                                  .in_channels = data.train->channels()});

  // Importance while networks of other widths train (Eq. 5), and its law a layer (Eq. 6).
  std::vector<LayerSamples> samples(widths(baseline).size());
  for (const double w : {0.5, 1.0, 2.0}) {
    Model model(scale_width(baseline, w));
    ImportanceObserver observer(steps_per_epoch(data.train->size(), config.batch));
    train(model, data, config, &observer);
    const std::vector<LayerImportance> layers = observer.result(model);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      samples[i].layer = layers[i].layer;
      samples[i].samples.push_back(
          {double(layers[i].width), layers[i].reduce(KernelReduction::mean)});
    }
  }
  const std::vector<ImportanceLaw> laws = fit_laws(samples);

  // A latency model of this machine, from networks of five widths.
  std::vector<Architecture> nets;
  for (const double w : {0.5, 1.0, 1.5, 2.0, 3.0}) nets.push_back(scale_width(baseline, w));
  const LatencyModelPtr latency = fit_latency(
      LatencyModelKind::table, time_networks(nets, {}, {.allow_unsteady = true, .patience = 1}),
      latency_source({}), {});

  // Algorithm 1; the other methods of the table take the same task.
  const ScaledNetwork scaled =
      method_of("hacscale")
          .to_budget({.baseline = baseline,
                      .model = *latency,
                      .budget = {.latency_ms = 2 * latency->predict(baseline)},
                      .laws = laws});
  Model model(scaled.arch);
  const TrainResult result = train(model, data, config);
  InferenceSession deployed(model);
  const LatencyStats ms = profile(deployed).latency;
  std::printf("%lld parameters, top-1 %.1f %%, %.3f ms\n",
              static_cast<long long>(count(scaled.arch).params), 100 * result.test.top1, ms.median);
} catch (const Error& error) {
  print(stderr, std::string("scale: ") + error.what() + "\n");
  return error.exit_code();
}
