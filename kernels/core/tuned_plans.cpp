#include "kernels/core/tuned_plans.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "kernels/core/error.h"

namespace hac {
namespace {

constexpr std::string_view kHeader =
    "hacscale tuned plans 1: device, library, options, spec, engine, knobs, microseconds";

// Splits at the first `mark` and moves on behind it; all that is left where there is none.
std::string_view take(std::string_view& text, char mark) {
  const std::size_t end = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

template <class T>
bool parse(std::string_view text, T& value) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && rest == end;
}

// "2=3,17=1", or "-" for none.
bool parse_knobs(std::string_view text, std::vector<Knob>& knobs) {
  if (text == "-") return true;
  if (text.ends_with(',')) return false;
  do {
    std::string_view item = take(text, ',');
    const std::string_view type = take(item, '=');
    Knob& knob = knobs.emplace_back();
    if (!parse(type, knob.type) || !parse(item, knob.value)) return false;
  } while (!text.empty());
  return true;
}

// What is wrong with a line, "" if nothing is.
std::string parse_line(std::string_view line, TunedPlans& plans) {
  std::vector<std::string_view> fields;
  for (std::string_view rest = line; fields.size() < 7 && !rest.empty();) {
    fields.push_back(fields.size() < 6 ? take(rest, '\t') : std::exchange(rest, {}));
  }
  if (fields.size() < 7) return fmt::format("expected 7 fields, got {}", fields.size());
  TunedPlan plan;
  if (!parse(fields[4], plan.engine) || plan.engine < 0) return "expected the number of an engine";
  if (!parse_knobs(fields[5], plan.knobs)) return "expected knobs, as 2=3,17=1";
  if (!parse(fields[6], plan.microseconds) || !std::isfinite(plan.microseconds) ||
      plan.microseconds < 0) {
    return "expected microseconds";
  }
  TunedKey key{std::string(fields[0]), std::string(fields[1]), std::string(fields[2]),
               std::string(fields[3])};
  if (!plans.emplace(std::move(key), std::move(plan)).second) return "expected each plan once";
  return "";
}

}  // namespace

std::string to_text(const TunedPlans& plans) {
  std::string text = fmt::format("{}\n", kHeader);
  for (const auto& [key, plan] : plans) {
    std::string knobs;
    for (const Knob& knob : plan.knobs) {
      knobs += fmt::format("{}{}={}", knobs.empty() ? "" : ",", knob.type, knob.value);
    }
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{:.3f}\n", key.device, key.library, key.options,
                        key.spec, plan.engine, knobs.empty() ? "-" : knobs, plan.microseconds);
  }
  return text;
}

TunedPlans parse_tuned_plans(std::string_view text, const std::string& file) {
  int number = 0;
  const auto require = [&](const std::string& wrong, std::string_view got) {
    if (wrong.empty()) return;
    throw IoError(fmt::format("tuned plans '{}', line {}: {}, got '{}' (hint: move the file away)",
                              file, number, wrong, got.substr(0, 120)));
  };
  TunedPlans plans;
  for (std::string_view rest = text; !rest.empty();) {
    ++number;
    const bool whole = rest.find('\n') != std::string_view::npos;
    const std::string_view line = take(rest, '\n');
    require(whole ? "" : "expected a whole line", line);
    if (number == 1) {
      require(line == kHeader ? "" : fmt::format("expected '{}'", kHeader), line);
    } else {
      require(parse_line(line, plans), line);
    }
  }
  return plans;
}

PlanMemory::PlanMemory(std::string device, PlanFile file)
    : device_(std::move(device)), file_(std::move(file)) {
  std::replace_if(
      device_.begin(), device_.end(), [](unsigned char c) { return c < ' '; }, ' ');
  if (file_.read) known_ = parse_tuned_plans(file_.read(), file_.name);
}

const TunedPlan* PlanMemory::find(const TunedKey& key) const {
  const auto it = known_.find(key);
  return it == known_.end() ? nullptr : &it->second;
}

void PlanMemory::remember(const TunedKey& key, TunedPlan plan) {
  measured_[key] = std::move(plan);
  // Others may have written since.
  if (file_.read) known_ = parse_tuned_plans(file_.read(), file_.name);
  for (const auto& [k, p] : measured_) known_[k] = p;
  if (file_.write) file_.write(to_text(known_));
}

std::size_t fastest(std::span<const double> ms) {
  constexpr double noise = 0.02;
  const double limit = *std::min_element(ms.begin(), ms.end()) * (1 + noise);
  return std::find_if(ms.begin(), ms.end(), [&](double t) { return t <= limit; }) - ms.begin();
}

}  // namespace hac
