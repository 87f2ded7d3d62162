#include "scaling/stages.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "engine/hash.h"
#include "engine/print.h"

namespace hac {

using nlohmann::json;

std::string content_key(const std::string& text) { return fmt::format("{:016x}", fnv1a(text)); }

Stages::Stages(std::string folder, bool quiet) : folder_(std::move(folder)), quiet_(quiet) {
  make_folder(folder_);
}

json Stages::run(const std::string& name, const json& inputs, const std::function<json()>& compute,
                 const std::function<bool(const json&)>& good) {
  const std::string path = fmt::format("{}/{}.json", folder_, name);
  if (std::filesystem::exists(path)) {
    const json stored = json::parse(read_file(path), nullptr, false);
    if (stored.is_object() && stored.value("inputs", json()) == inputs &&
        stored.contains("result") && (!good || good(stored["result"]))) {
      if (!quiet_) print(stderr, fmt::format("{:<12} kept from an earlier run\n", name));
      return stored["result"];
    }
  }
  const auto start = std::chrono::steady_clock::now();
  if (!quiet_) print(stderr, fmt::format("{:<12} ...\n", name));
  json result = compute();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  write_file_atomically(
      path, json{{"inputs", inputs}, {"seconds", seconds}, {"result", result}}.dump(1) + "\n");
  if (!quiet_) print(stderr, fmt::format("{:<12} done in {:.1f} s\n", name, seconds));
  return result;
}

}  // namespace hac
