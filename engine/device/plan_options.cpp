#include "engine/device/plan_options.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "engine/io/file.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/cuda/options.h"
#include "kernels/cuda/tuned_plans.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_bytes = 1 << 26;

cuda::Library& library_of(Device device, const char* wish, const char* instead) {
  if (device.kind != DeviceKind::cuda) {
    throw ConfigError(fmt::format("{}: expected a GPU, got {}, where {} (hint: --device cuda:0)",
                                  wish, to_string(device), instead));
  }
  return Context::current(device).cuda();
}

bool exists(const std::string& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

// An absolute path from the environment, "" if there is none (a relative one does not count, as XDG
// has it).
fs::path folder_from(const char* name) {
  const char* value = std::getenv(name);
  const fs::path path = value ? value : "";
  return path.is_absolute() ? path : fs::path();
}

}  // namespace

void allow_tf32(Device device) {
  cuda::plan_options(library_of(device, "tf32", "f32 has all its bits")).allow_tf32 = true;
}

void autotune(Device device, const std::string& file) {
  cuda::Library& library = library_of(device, "autotune", "there are no plans to choose from");
  if (file.empty()) return cuda::autotune(library, {});
  make_folder(fs::absolute(file).parent_path());
  cuda::autotune(library,
                 {.name = file,
                  .read = [file] { return exists(file) ? read_file(file, max_bytes) : ""; },
                  .write = [file](const std::string& text) { write_file_atomically(file, text); }});
}

std::string describe_plan_options(Device device) {
  if (device.kind != DeviceKind::cuda) return "";
  return cuda::describe_plans(Context::current(device).cuda());
}

std::string plan_cache_path() {
  if (const char* file = std::getenv("HAC_PLAN_CACHE"); file && *file) return file;
  fs::path cache = folder_from("XDG_CACHE_HOME");
  if (cache.empty() && !folder_from("HOME").empty()) cache = folder_from("HOME") / ".cache";
  if (cache.empty()) {
    throw ConfigError("HAC_PLAN_CACHE: expected a file, got none, and HOME is not set either");
  }
  return cache / "hacscale" / "cudnn-plans.txt";
}

std::string describe_plan_cache(const std::string& file) {
  if (!exists(file)) return "";
  try {
    const auto plans = cuda::parse_tuned_plans(read_file(file, max_bytes), file);
    return fmt::format("{}, {} plans", file, plans.size());
  } catch (const IoError& e) {
    return e.what();
  }
}

}  // namespace hac
