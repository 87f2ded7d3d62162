#include "data/sets/holdout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "data/sets/derived_set.h"
#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace hac {
namespace {

using Indices = std::vector<std::int64_t>;

std::int64_t wanted(const Dataset& set, double amount) {
  const auto fail = [&](const std::string& expected) {
    throw ConfigError(fmt::format("option '--validation': expected {}, got {}", expected, amount));
  };
  if (!std::isfinite(amount) || amount < 0 || (amount >= 1 && amount != std::floor(amount))) {
    fail("a fraction below 1 or a number of images");
  }
  const auto images = static_cast<double>(set.size());
  const double count = amount < 1 ? std::round(amount * images) : amount;
  const auto classes = std::ssize(set.classes());
  if (count < static_cast<double>(classes) || count > images - static_cast<double>(classes)) {
    fail(
        fmt::format("at least one of the {} training images for each of the {} classes, and as "
                    "many left to train on",
                    set.size(), classes));
  }
  return static_cast<std::int64_t>(count);
}

// How many of each class, by largest remainders; a class of one image keeps it.
Indices quotas(const std::vector<Indices>& classes, std::int64_t images, std::int64_t count) {
  Indices quota;
  std::vector<double> missing;  // of the exact share
  for (const Indices& members : classes) {
    const auto size = static_cast<double>(members.size());
    const double exact = size * static_cast<double>(count) / static_cast<double>(images);
    quota.push_back(static_cast<std::int64_t>(exact));
    missing.push_back(exact - std::floor(exact));
  }
  Indices order(classes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return missing[a] > missing[b]; });
  std::int64_t left = count - std::accumulate(quota.begin(), quota.end(), std::int64_t{0});
  for (bool more = true; left > 0 && more;) {
    more = false;
    for (const std::int64_t c : order) {
      if (left == 0 || quota[c] + 1 >= std::ssize(classes[c])) continue;
      ++quota[c];
      --left;
      more = true;
    }
  }
  return quota;
}

}  // namespace

DataSplit hold_out(DataSplit split, double amount, std::uint64_t seed) {
  if (amount == 0) return split;
  const Dataset& set = *split.train;
  const std::int64_t count = wanted(set, amount);
  std::vector<Indices> classes(set.classes().size());
  for (std::int64_t i = 0; i < set.size(); ++i) classes.at(set.label(i)).push_back(i);
  const Indices quota = quotas(classes, set.size(), count);

  const Philox random{seed, streams::holdout};
  Indices held, kept;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    Indices& members = classes[c];
    std::stable_sort(members.begin(), members.end(), [&](std::int64_t a, std::int64_t b) {
      return random.bits(a) < random.bits(b);
    });
    held.insert(held.end(), members.begin(), members.begin() + quota[c]);
    kept.insert(kept.end(), members.begin() + quota[c], members.end());
  }
  std::sort(held.begin(), held.end());
  std::sort(kept.begin(), kept.end());
  split.validation = subset(split.train, std::move(held));
  split.train = subset(std::move(split.train), std::move(kept));
  return split;
}

}  // namespace hac
