#pragma once
// What the search of a method took: trainings that it asked for, and their seconds when they were
// trained, also where this run found them already done.

#include <cstdint>

#include "engine/io/fields.h"

namespace hac {

struct SearchCost {
  std::int64_t trainings = 0;
  double seconds = 0;
  Fields fields() { return Fields().add("trainings", trainings).add("seconds", seconds); }
  SearchCost& operator+=(const SearchCost& other) {
    trainings += other.trainings;
    seconds += other.seconds;
    return *this;
  }
};

}  // namespace hac
