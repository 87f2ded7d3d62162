#pragma once
// What the search of a method took: trainings that it asked for, and the CPU time of these when
// they were trained, also where this run found them already done.

#include <cstdint>

#include "engine/io/fields.h"

namespace hac {

struct SearchCost {
  std::int64_t trainings = 0;
  double cpu_seconds = 0;
  Fields fields() { return Fields().add("trainings", trainings).add("cpu_seconds", cpu_seconds); }
  SearchCost& operator+=(const SearchCost& other) {
    trainings += other.trainings;
    cpu_seconds += other.cpu_seconds;
    return *this;
  }
};

}  // namespace hac
