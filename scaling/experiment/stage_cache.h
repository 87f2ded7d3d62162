#pragma once
// The stages of an experiment, kept on disk by their inputs: the one place where their results are
// turned into JSON and back. Private to this folder and its tests.

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <type_traits>

#include "engine/io/fields.h"
#include "models/arch/architecture.h"
#include "scaling/experiment/recipe.h"

namespace hac {

// 64-bit FNV-1a of the text, as 16 hex digits.
std::string content_key(const std::string& text);
// As parts of a stage's inputs.
nlohmann::json json_of(const Architecture& arch);
nlohmann::json json_of(const Recipe& recipe);

class StageCache {
 public:
  StageCache(std::string folder, bool quiet);

  // The result stored as folder/NAME.json if that has the same inputs and `good`, if given, takes
  // it; else compute(), stored before it is returned. A file that cannot be read is computed again.
  template <class Compute, class T = std::invoke_result_t<Compute>>
  T run(const std::string& name, const nlohmann::json& inputs, Compute compute,
        const std::type_identity_t<std::function<bool(const T&)>>& good = {}) {
    T value{};
    run(
        name, inputs, value, [&] { return !good || good(value); }, [&] { value = compute(); });
    return value;
  }

 private:
  void run(const std::string& name, const nlohmann::json& inputs, const Value& value,
           const std::function<bool()>& good, const std::function<void()>& compute) const;

  std::string folder_;
  bool quiet_;
};

}  // namespace hac
