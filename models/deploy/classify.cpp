#include "models/deploy/classify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/loader/input_transform.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

// scores: (1, classes).
std::vector<Guess> best_guesses(const Tensor& scores, const std::vector<std::string>& classes,
                                std::size_t top) {
  const float* score = scores.as<float>();
  const std::size_t n = classes.size();
  const double most = *std::max_element(score, score + n);
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::exp(score[i] - most);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
  std::vector<Guess> guesses;
  for (std::size_t k = 0; k < std::min(top, n); ++k) {
    const std::size_t i = order[k];
    guesses.push_back({classes[i], i, std::exp(score[i] - most) / sum});
  }
  return guesses;
}

}  // namespace

std::vector<Guess> classify(InferenceSession& net, const std::string& path,
                            const TrainedOn& trained, std::size_t top) {
  const Tensor scores = net.run(read_input(path, trained.preprocessing, net.graph().input[2]));
  if (!all_finite(scores)) {
    throw Error(fmt::format("image '{}': the network's outputs are not finite", path));
  }
  return best_guesses(scores, trained.classes, top);
}

}  // namespace hac
