#pragma once
// The vendor's plans that were measured to be the fastest, as a text that outlives the process: one
// line a plan, sorted, behind a first line that names the form.

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hac::cuda {

struct Library;

// A setting of one of cuDNN's engines.
struct Knob {
  std::int64_t type = 0, value = 0;  // cudnnBackendKnobType_t
  auto operator<=>(const Knob&) const = default;
};

// All that a measurement depends on, in words: "NVIDIA H100 80GB HBM3, sm_90, 132 SMs",
// "cudnn 91900", "deterministic,strict,268435456", "conv2d:f32,...". No control characters.
struct TunedKey {
  std::string device, library, options, spec;
  auto operator<=>(const TunedKey&) const = default;
};

struct TunedPlan {
  std::int64_t engine = 0;
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

// From now on this library measures cuDNN's plans when one is first needed, unless the file has the
// result, and takes the fastest. Throws IoError where the file is not such a text.
void autotune(Library& library, PlanFile file);

}  // namespace hac::cuda
