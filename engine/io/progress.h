#pragma once
// One line that says how a long phase is getting on. On a terminal it is redrawn in place on
// stderr; anywhere else only the closing line of a phase is printed.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>

#include "kernels/core/types.h"

namespace hac {

// What the caller knows; a NaN is not shown.
struct ProgressFields {
  double loss = std::numeric_limits<double>::quiet_NaN();
  double accuracy = std::numeric_limits<double>::quiet_NaN();  // fraction
  double lr = std::numeric_limits<double>::quiet_NaN();
};

struct ProgressState {
  std::string phase;                 // "epoch 3/20"
  std::int64_t done = 0, total = 0;  // steps
  std::int64_t images = 0;           // seen so far
  double seconds = 0;                // since the phase began
  std::size_t memory = 0;            // bytes in use at the peak
};

// "epoch 3/20  120/391  loss 1.2345  acc 56.7 %  3210 img/s  eta 0:42  lr 0.1  mem 512 MiB"
std::string progress_line(const ProgressState& state, const ProgressFields& fields);

class Progress {
 public:
  // total counts steps. A quiet one prints nothing at all. device: whose memory is shown.
  Progress(std::string phase, std::int64_t total, bool quiet = false, Device device = {},
           std::FILE* out = stderr);
  // A phase that ends by an exception leaves the cursor on a fresh line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // One step of `images` images is done; redraws at most ten times a second.
  void step(std::int64_t images, const ProgressFields& fields);
  void finish(const ProgressFields& fields);
  double images_per_second() const;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(const ProgressFields& fields, char end);

  ProgressState state_;
  bool quiet_, terminal_;
  Device device_;
  std::FILE* out_;
  Clock::time_point start_ = Clock::now(), drawn_{};
  std::size_t width_ = 0;  // of the line on the screen
};

}  // namespace hac
