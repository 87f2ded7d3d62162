#pragma once
// The plans that were measured to be the fastest, as a text that outlives the process: one line a
// plan, sorted, behind a first line that names the form.

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hac {

// A setting of one of cuDNN's engines.
struct Knob {
  std::int64_t type = 0, value = 0;  // cudnnBackendKnobType_t
  auto operator<=>(const Knob&) const = default;
};

// All that a measurement depends on, in words: "NVIDIA H100 80GB HBM3, sm_90, 132 SMs",
// "cudnn 91900", "deterministic,strict,268435456", "conv2d:f32,...".
struct TunedKey {
  std::string device, library, options, spec;
  auto operator<=>(const TunedKey&) const = default;
};

struct TunedPlan {
  std::int64_t engine = 0;  // of cuDNN; on the CPU cpu::ConvAlgorithm
  std::vector<Knob> knobs;
  double microseconds = 0;  // measured
  bool operator==(const TunedPlan&) const = default;
};

using TunedPlans = std::map<TunedKey, TunedPlan>;

std::string to_text(const TunedPlans& plans);
// "" holds none. Throws IoError naming `file` and the line for anything that is not what to_text
// gives, a key that comes twice and a text that was cut included.
TunedPlans parse_tuned_plans(std::string_view text, const std::string& file);

// Where such a text is kept: files belong to the engine. Both may throw IoError.
struct PlanFile {
  std::string name;
  std::function<std::string()> read;  // "" where there is none; null: nothing is kept
  std::function<void(const std::string&)> write;
};

// What a process knows: what the file held when last read, and its own measurements.
class PlanMemory {
 public:
  // device: a name that tells apart what runs at different speeds. Throws IoError as PlanFile does.
  PlanMemory(std::string device, PlanFile file);

  const std::string& device() const { return device_; }
  const TunedPlan* find(const TunedKey& key) const;  // null if it is not known
  // The file gets it, beside all that it holds by then: of two processes that write at the very
  // same time one's last result may be lost, and is measured again. Throws IoError as PlanFile
  // does.
  void remember(const TunedKey& key, TunedPlan plan);

 private:
  std::string device_;  // no control characters
  PlanFile file_;
  TunedPlans known_, measured_;
};

// The index of the earliest within 2 % of the least, so that noise does not decide against the
// order of what was there before the measurement. There must be one at least.
std::size_t fastest(std::span<const double> ms);

}  // namespace hac
