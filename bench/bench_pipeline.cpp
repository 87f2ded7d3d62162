// One contestant of compare_pipeline.py: what an image costs on its way to a random resized crop.
//   bench_pipeline DATA   imagefolder:DIR or packed:FILE
// For each line on stdin, all images of the training set once: read, decoded, cropped, resized to
// 224, mirrored or not, as bytes of planes. Prints their number, then the CPU seconds of each pass.

#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <iostream>
#include <string>

#include "data/image/transforms.h"
#include "data/sets/datasets.h"
#include "kernels/core/error.h"

namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void serve(const std::string& data) {
  const hac::DatasetPtr set = hac::open_data({.name = data, .quiet = true}).train;
  const hac::Pipeline pipeline = hac::random_resized_crop(set->preprocessing());
  fmt::print("{}\n", set->size());
  std::fflush(stdout);
  std::string line;
  for (std::int64_t epoch = 0; std::getline(std::cin, line); ++epoch) {
    const double start = cpu_seconds();
    for (std::int64_t i = 0; i < set->size(); ++i) {
      if (hac::apply(pipeline, set->read(i), {1, epoch, i}).render(3).width != 224) return;
    }
    fmt::print("{:.6f}\n", cpu_seconds() - start);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: bench_pipeline DATA\n");
    return 2;
  }
  try {
    serve(argv[1]);
  } catch (const hac::Error& error) {
    fmt::print(stderr, "bench_pipeline: {}\n", error.what());
    return 1;
  }
}
