#include "models/train/eval_details.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "data/image/thumbnail.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

void add_calibration(EvalDetails& details, std::span<const Prediction> predictions) {
  constexpr int bins = EvalDetails::bins;
  details.reliability.resize(bins);
  for (const Prediction& p : predictions) {
    const int b = std::clamp(static_cast<int>(std::ceil(p.confidence * bins)) - 1, 0, bins - 1);
    ReliabilityBin& bin = details.reliability[b];
    ++bin.images;
    bin.confidence += p.confidence;
    bin.accuracy += p.guess == p.label;
    details.brier += p.brier;
  }
  const auto n = static_cast<double>(predictions.size());
  details.brier /= n;
  for (ReliabilityBin& bin : details.reliability) {
    if (bin.images == 0) continue;
    const auto images = static_cast<double>(bin.images);
    bin.confidence /= images;
    bin.accuracy /= images;
    details.ece += images / n * std::abs(bin.accuracy - bin.confidence);
  }
}

std::vector<std::array<std::int64_t, 3>> confusion_of(std::span<const Prediction> predictions) {
  std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> cells;
  for (const Prediction& p : predictions) ++cells[{p.label, p.guess}];
  std::vector<std::array<std::int64_t, 3>> list;
  for (const auto& [cell, images] : cells) list.push_back({cell.first, cell.second, images});
  return list;
}

std::vector<WorstImage> worst_of(const Dataset& set, std::span<const Prediction> predictions,
                                 std::size_t n) {
  std::vector<std::int64_t> order(predictions.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  n = std::min(n, order.size());
  const auto worse = [&](std::int64_t a, std::int64_t b) {
    return predictions[a].loss > predictions[b].loss ||
           (predictions[a].loss == predictions[b].loss && a < b);
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    worse);
  std::vector<WorstImage> worst;
  for (std::size_t k = 0; k < n; ++k) {
    const std::int64_t i = order[k];
    const Prediction& p = predictions[i];
    worst.push_back({.index = i,
                     .label = p.label,
                     .guess = p.guess,
                     .confidence = p.confidence,
                     .loss = p.loss,
                     .name = utf8(set.name(i)),
                     .picture = ""});
  }
  return worst;
}

}  // namespace

void validate(const EvalDetails& details, const std::string& what) {
  const auto require_class = [&](std::int64_t c) {
    if (c >= 0 && c < std::ssize(details.classes)) return;
    throw ConfigError(fmt::format("{}: expected one of its {} classes, got number {}", what,
                                  details.classes.size(), c));
  };
  for (const auto& [label, guess, images] : details.confusion) {
    require_class(label);
    require_class(guess);
    if (images < 1) throw ConfigError(fmt::format("{}: a cell of {} images", what, images));
  }
  for (const WorstImage& image : details.worst) {
    require_class(image.label);
    require_class(image.guess);
  }
  if (details.reliability.size() != EvalDetails::bins) {
    throw ConfigError(fmt::format("{}: expected {} bins of confidence, got {}", what,
                                  EvalDetails::bins, details.reliability.size()));
  }
}

EvalDetails eval_details(const Dataset& set, std::span<const Prediction> predictions,
                         std::size_t worst) {
  if (std::ssize(predictions) != set.size()) {
    throw ShapeError(fmt::format("evaluation: expected predictions of the set's {} images, got {}",
                                 set.size(), predictions.size()));
  }
  EvalDetails details;
  for (const std::string& name : set.classes()) details.classes.push_back(utf8(name));
  if (predictions.empty()) return details;
  add_calibration(details, predictions);
  details.confusion = confusion_of(predictions);
  details.worst = worst_of(set, predictions, worst);
  return details;
}

void add_pictures(EvalDetails& details, const Dataset& set, std::int64_t side) {
  for (WorstImage& image : details.worst) image.picture = thumbnail(set.read(image.index), side);
}

std::vector<ClassResult> by_class(const EvalDetails& details) {
  std::vector<ClassResult> classes(details.classes.size());
  for (const auto& [label, guess, images] : details.confusion) {
    ClassResult& truth = classes.at(label);
    truth.images += images;
    classes.at(guess).guesses += images;
    if (label == guess) {
      truth.correct = images;
    } else if (images > truth.mistakes) {
      truth.mistaken_for = guess;
      truth.mistakes = images;
    }
  }
  return classes;
}

std::vector<std::array<std::int64_t, 3>> most_confused(const EvalDetails& details, std::size_t n) {
  std::vector<std::array<std::int64_t, 3>> pairs;
  std::copy_if(details.confusion.begin(), details.confusion.end(), std::back_inserter(pairs),
               [](const auto& cell) { return cell[0] != cell[1]; });
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const auto& a, const auto& b) { return a[2] > b[2]; });
  if (pairs.size() > n) pairs.resize(n);
  return pairs;
}

}  // namespace hac
