// Power to energy, for sensors that count no joules themselves.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "kernels/core/error.h"
#include "scaling/measure/power_meters.h"

namespace hac {
namespace {

class Integral {
 public:
  Integral(std::function<double()> watts, const MeterOptions& options)
      : watts_(std::move(watts)), now_(options.now ? options.now : steady_seconds) {
    last_watts_ = watts_();
    last_time_ = now_();
    if (options.sample_seconds > 0) {
      const std::chrono::duration<double> period(options.sample_seconds);
      sampler_ = std::jthread([this, period](const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, stop, period, [] { return false; }) &&
               !stop.stop_requested()) {
          try {
            sample();
          } catch (const DeviceError&) {  // the next trapezoid spans the gap
          }
        }
      });
    }
  }

  double joules() {
    const std::lock_guard lock(mutex_);
    sample();
    return joules_;
  }

 private:
  void sample() {
    const double watts = watts_(), time = now_();
    joules_ += (watts + last_watts_) / 2 * (time - last_time_);
    last_watts_ = watts;
    last_time_ = time;
  }

  std::function<double()> watts_, now_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  double joules_ = 0, last_watts_ = 0, last_time_ = 0;
  std::jthread sampler_;  // last: stopped and joined before what it uses goes
};

}  // namespace

std::function<double()> integrate(std::function<double()> watts, const MeterOptions& options) {
  const auto integral = std::make_shared<Integral>(std::move(watts), options);
  return [integral] { return integral->joules(); };
}

}  // namespace hac
