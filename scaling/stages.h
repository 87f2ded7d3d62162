#pragma once
// Results kept on disk under the question that they answer.

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace hac {

// 64-bit FNV-1a of the text, as 16 hex digits.
std::string content_key(const std::string& text);

class Stages {
 public:
  Stages(std::string folder, bool quiet);

  // The result stored as folder/NAME.json if it answers the same inputs and `good`, if given, takes
  // it; else compute(), stored before it is returned. A file that cannot be read is computed anew.
  nlohmann::json run(const std::string& name, const nlohmann::json& inputs,
                     const std::function<nlohmann::json()>& compute,
                     const std::function<bool(const nlohmann::json&)>& good = {});

 private:
  std::string folder_;
  bool quiet_;
};

}  // namespace hac
