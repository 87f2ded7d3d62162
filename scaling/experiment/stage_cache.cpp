#include "scaling/experiment/stage_cache.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "engine/tensor/hash.h"
#include "kernels/core/error.h"

namespace hac {

using nlohmann::json;

std::string content_key(const std::string& text) { return fmt::format("{:016x}", fnv1a(text)); }

json json_of(const Architecture& arch) { return json::parse(to_json(arch)); }

json json_of(const Recipe& recipe) { return json::parse(to_json(recipe)); }

StageCache::StageCache(std::string folder, bool quiet) : folder_(std::move(folder)), quiet_(quiet) {
  make_folder(folder_);
}

void StageCache::run(const std::string& name, const json& inputs, const Value& value,
                     const std::function<bool()>& good,
                     const std::function<void()>& compute) const {
  const Fields result = Fields().add("result", value);
  const std::string path = fmt::format("{}/{}.json", folder_, name);
  const auto kept = [&] {
    if (!std::filesystem::exists(path)) return false;
    const json stored = json::parse(read_file(path), nullptr, false);
    if (!stored.is_object() || stored.value("inputs", json()) != inputs) return false;
    try {
      read_json(stored, result, path, "", {.record = true});
      return good();
    } catch (const ConfigError&) {
      return false;
    }
  };
  if (kept()) {
    if (!quiet_) print(stderr, fmt::format("{:<12} kept from an earlier run\n", name));
    return;
  }
  const auto start = std::chrono::steady_clock::now();
  if (!quiet_) print(stderr, fmt::format("{:<12} ...\n", name));
  compute();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  json stage = to_json(result);
  stage["inputs"] = inputs;
  stage["seconds"] = seconds;
  write_file_atomically(path, stage.dump(1) + "\n");
  if (!quiet_) print(stderr, fmt::format("{:<12} done in {:.1f} s\n", name, seconds));
}

}  // namespace hac
