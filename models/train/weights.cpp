#include "models/train/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>

#include "engine/io/safetensors.h"
#include "engine/optim/optimizer.h"
#include "engine/parallel/group.h"
#include "kernels/core/error.h"
#include "models/train/weight_average.h"
#include "models/zoo/timm_names.h"

namespace hac {
namespace {

constexpr std::string_view earlier_plain_prefix = "plain.";  // of earlier versions' averages
constexpr std::string_view wrappers[] = {"module.", "_orig_mod."};
constexpr std::string_view float_types[] = {"F32", "F16", "BF16", "F64"};

using TensorNames = std::vector<std::string>;
using State = std::map<std::string, Tensor>;

// "a, b, c, d and 3 more".
std::string listed(const TensorNames& names) {
  constexpr std::size_t most = 4;
  const auto end = names.begin() + std::min(most, names.size());
  const std::string shown = fmt::format("{}", fmt::join(names.begin(), end, ", "));
  return names.size() <= most ? shown : fmt::format("{} and {} more", shown, names.size() - most);
}

bool is_float(const TensorInfo& info) {
  return std::find(std::begin(float_types), std::end(float_types), info.dtype) !=
         std::end(float_types);
}

bool has_shape(const TensorInfo& info, const Shape& shape) {
  bool same = std::ssize(info.shape) == shape.rank();
  for (int i = 0; same && i < shape.rank(); ++i) {
    same = info.shape[i] == static_cast<std::uint64_t>(shape[i]);
  }
  return same;
}

bool passed_over(const std::string& name) {
  return name.ends_with("num_batches_tracked") || name.starts_with("observer.") ||
         name.starts_with(average_prefix) || name.starts_with(earlier_plain_prefix) ||
         std::any_of(std::begin(optimizer_state), std::end(optimizer_state),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Which tensor of a file goes where.
class Matching {
 public:
  Matching(const SafetensorsReader& file, const Model& model, const TensorNames& except)
      : file_(file), model_(model), own_(model.state()), except_(except), used_(except.size()) {
    TensorNames names;
    for (const auto& [name, info] : file.tensors()) names.push_back(name);
    timm_ = timm_layers(model.arch(), names);
    for (const auto& [name, info] : file.tensors()) {
      if (!passed_over(name)) place(name, info);
    }
    for (const auto& [name, tensor] : own_) check(name, tensor);
    require_used_patterns();
  }

  // "" if every weight has its tensor.
  std::string problems() const {
    TensorNames all;
    if (!missing_.empty()) all.push_back("missing " + listed(missing_));
    if (!unexpected_.empty()) all.push_back("unexpected " + listed(unexpected_));
    if (!misfits_.empty()) all.push_back(listed(misfits_));
    return all.empty() ? "" : fmt::format("{}", fmt::join(all, "; "));
  }
  // A pattern that would leave out what has another shape; "" if nothing has.
  const std::string& remedy() const { return remedy_; }

  // What was left is in it as the network has it.
  State state() const {
    State state = own_;
    for (const auto& [name, from] : found_) state[name] = file_.read(from);
    return state;
  }

  LoadedWeights result() const {
    LoadedWeights result = result_;
    result.loaded = std::ssize(found_);
    return result;
  }

 private:
  void place(const std::string& from, const TensorInfo& info) {
    std::string name = from;
    TensorNames stripped;
    for (bool more = true; more && !own_.contains(name);) {
      more = false;
      for (const std::string_view wrapper : wrappers) {
        if (!name.starts_with(wrapper)) continue;
        name.erase(0, wrapper.size());
        stripped.emplace_back(wrapper);
        more = true;
      }
    }
    const std::string unnamed = name;
    if (!own_.contains(name)) name = from_timm(name);
    if (left_out(name)) return;
    if (!own_.contains(name)) {
      const bool maybe_weight = is_float(info) && info.shape.size() <= 4;
      (maybe_weight ? unexpected_ : result_.unused).push_back(from + " " + info.str());
      return;
    }
    if (!found_.emplace(name, from).second) {
      throw IoError(fmt::format("both '{}' and '{}' are '{}'", found_[name], from, name));
    }
    result_.stripped += !stripped.empty();
    result_.renamed += name != unnamed;
    if (is_float(info) && info.dtype != "F32") ++result_.widened[info.dtype];
    for (std::string& prefix : stripped) {
      TensorNames& all = result_.prefixes;
      if (std::find(all.begin(), all.end(), prefix) == all.end()) all.push_back(std::move(prefix));
    }
  }

  // "blocks.1.0.bn1.weight" -> "features.2.conv.0.1.weight".
  std::string from_timm(const std::string& name) const {
    const std::size_t dot = name.rfind('.');
    const auto layer = dot == std::string::npos ? timm_.end() : timm_.find(name.substr(0, dot));
    return layer == timm_.end() ? name : layer->second + name.substr(dot);
  }

  void check(const std::string& name, const Tensor& tensor) {
    if (left_out(name)) return result_.left.push_back(name);
    const auto it = found_.find(name);
    if (it == found_.end()) {
      return missing_.push_back(fmt::format("{} {}", name, tensor.shape().str()));
    }
    const TensorInfo& info = file_.tensors().at(it->second);
    if (is_float(info) && has_shape(info, tensor.shape())) return;
    misfits_.push_back(fmt::format("{} is {}, expected {}{}", it->second, info.str(),
                                   is_float(info) ? "" : "floats ", tensor.shape().str()));
    if (remedy_.empty()) remedy_ = name.substr(0, name.rfind('.')) + ".*";
  }

  bool left_out(const std::string& name) {
    bool any = false;
    for (std::size_t i = 0; i < except_.size(); ++i) {
      if (::fnmatch(except_[i].c_str(), name.c_str(), 0) != 0) continue;
      any = used_[i] = true;
    }
    return any;
  }

  void require_used_patterns() const {
    const auto idle = std::find(used_.begin(), used_.end(), false);
    if (idle == used_.end()) return;
    TensorNames names;
    for (const Parameter& p : model_.parameters()) names.push_back(p.name);
    std::reverse(names.begin(), names.end());
    throw ConfigError(fmt::format("init-except '{}': matches no weight of '{}' (it has {})",
                                  except_[idle - used_.begin()], model_.arch().name,
                                  listed(names)));
  }

  const SafetensorsReader& file_;
  const Model& model_;
  const State own_;
  const TensorNames& except_;
  std::map<std::string, std::string> timm_;   // its layers -> the network's
  std::vector<bool> used_;                    // patterns that matched
  std::map<std::string, std::string> found_;  // the network's name -> the file's
  TensorNames missing_, unexpected_, misfits_;
  std::string remedy_;
  LoadedWeights result_;
};

LoadedWeights load(const std::string& path, Model& model, const TensorNames* except) {
  const SafetensorsReader file(path);
  try {
    const Matching matching(file, model, except ? *except : TensorNames{});
    std::string problems = matching.problems();
    if (!problems.empty()) {
      problems = fmt::format("weights of '{}': {}", model.arch().name, problems);
      const std::string& remedy = matching.remedy();
      throw IoError(!except || remedy.empty()
                        ? problems
                        : with_hint(problems, fmt::format("--init-except '{}' starts that layer "
                                                          "from random weights",
                                                          remedy)));
    }
    model.load_state(matching.state());
    return matching.result();
  } catch (const IoError& e) {
    throw IoError(fmt::format("'{}': {}", path, e.what()));
  }
}

}  // namespace

std::vector<std::string> LoadedWeights::notes() const {
  TensorNames notes;
  if (stripped > 0) {
    notes.push_back(
        fmt::format("'{}' stripped from {} names", fmt::join(prefixes, "' and '"), stripped));
  }
  if (renamed > 0) notes.push_back(fmt::format("{} names were timm's", renamed));
  for (const auto& [dtype, tensors] : widened) {
    notes.push_back(fmt::format("{} tensors {} from {}", tensors,
                                dtype == "F64" ? "narrowed" : "widened", dtype));
  }
  if (!left.empty()) {
    notes.push_back(fmt::format("{} tensors loaded, not {}", loaded, listed(left)));
  }
  if (!unused.empty()) notes.push_back(fmt::format("not used: {}", listed(unused)));
  return notes;
}

LoadedWeights load_weights(const std::string& path, Model& model) {
  return load(path, model, nullptr);
}

LoadedWeights init_weights(const std::string& path, Model& model,
                           const std::vector<std::string>& except) {
  return load(path, model, &except);
}

void copy_from_rank_0(Group& group, Model& model) {
  State state = model.state();
  for (auto& [name, tensor] : state) {
    std::vector<float> values = tensor.to_vector();
    const std::string_view own(reinterpret_cast<const char*>(values.data()),
                               values.size() * sizeof(float));
    const std::string given = group.gather(group.rank() == 0 ? own : "")[0];
    std::memcpy(values.data(), given.data(), given.size());
    tensor = Tensor::from(values, tensor.shape());
  }
  model.load_state(state);
}

}  // namespace hac
