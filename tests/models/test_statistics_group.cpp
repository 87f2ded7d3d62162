// A network whose batch norms take the statistics of several ranks' images: losses, gradients and
// running statistics of one that sees all images itself.

#include "engine/autograd/ops.h"
#include "engine/parallel/device_group.h"
#include "tests/support/places.h"
#include "tests/support/thread_group.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::int64_t kImages = 11;

struct Step {
  double loss = 0;
  std::map<std::string, std::vector<double>> gradients;
  Numbers model;
};

// The part of images [begin, end) in the step of a batch.
Step step(const StepBatch& batch, std::int64_t begin, std::int64_t end, DeviceGroup* group,
          const Place& place) {
  Model model(tiny_net(), 4, place.device, place.dtype);
  model.set_statistics_group(group);
  const Var logits = model.forward(batch.images.slice(begin, end).clone());
  const Tensor labels = batch.labels.slice(begin, end).clone().to(place.device);
  const Var loss = ops::softmax_cross_entropy(logits, labels, 0, kImages).loss;
  backward(loss);
  Step made{.loss = loss.value().item(), .model = numbers_of(model)};
  for (const Parameter& p : model.parameters()) {
    if (!p.var.grad().defined()) continue;
    const std::vector<float> values = p.var.grad().to_vector();
    made.gradients[p.name] = {values.begin(), values.end()};
  }
  return made;
}

// Summed over the ranks; the statistics are those of each.
Step step_in_parts(const StepBatch& batch, const std::vector<std::int64_t>& parts,
                   const Place& place) {
  std::vector<Step> all(parts.size());
  ThreadGroup(static_cast<int>(parts.size())).run([&](Group& threads) {
    set_num_threads(1);
    const int rank = threads.rank();
    const auto group = through_host(threads);
    const std::int64_t begin = std::accumulate(parts.begin(), parts.begin() + rank, 0);
    all[rank] = step(batch, begin, begin + parts[rank], group.get(), place);
  });
  Step sum = all[0];
  for (std::size_t r = 1; r < all.size(); ++r) {
    EXPECT_EQ(all[r].model, all[0].model) << place.name << " rank " << r;
    sum.loss += all[r].loss;
    for (auto& [name, values] : sum.gradients) {
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += all[r].gradients.at(name)[i];
    }
  }
  return sum;
}

template <class Values>
void expect_close(const Values& got, const Values& expected, double relative,
                  const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double largest = 0;
  for (const double v : expected) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], relative * largest) << what << " " << i;
  }
}

TEST(StatisticsGroup, ManyRanksStepAsOneWithTheWholeBatch) {
  const StepBatch batch = noise_batch(0, kImages);
  for (const Place& place : places()) {
    if (place.dtype != Dtype::f32) continue;
    const At at(place);
    const Step whole = step(batch, 0, kImages, nullptr, place);
    for (const std::vector<std::int64_t>& parts :
         {std::vector<std::int64_t>{7, 4}, {1, 8, 2}, {3, 3, 3, 2}}) {
      const Step sum = step_in_parts(batch, parts, place);
      EXPECT_NEAR(sum.loss, whole.loss, 1e-5 * whole.loss) << place.name;
      ASSERT_EQ(sum.gradients.size(), whole.gradients.size());
      for (const auto& [name, values] : whole.gradients) {
        expect_close(sum.gradients.at(name), values, 2e-5, place.name + " " + name);
      }
      for (const auto& [name, values] : whole.model) {
        expect_close(sum.model.at(name), values, 1e-5, place.name + " " + name);
      }
    }
  }
}

struct Refuses : DeviceGroup {
  int rank() const override { return 0; }
  int size() const override { return 2; }
  bool on_device() const override { return false; }
  void exchange_rows(Context&, const float*, float*, std::size_t) override {
    throw Error("exchange");
  }
  void collect_rows(Context&, const float*, float*, std::size_t) override {
    throw Error("collect");
  }
};

TEST(StatisticsGroup, IsOfTrainingAndMayBeTakenAwayAgain) {
  const Tensor images = noise_batch(0, kImages).images;
  Refuses group;
  Model model(tiny_net(), 4);
  model.set_statistics_group(&group);
  EXPECT_THROW(model.forward(images), Error);
  model.eval();
  EXPECT_NO_THROW(model.forward(images));
  model.train();
  model.set_statistics_group(nullptr);
  EXPECT_NO_THROW(model.forward(images));
}

}  // namespace
}  // namespace hac
