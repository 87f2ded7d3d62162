#include "engine/device/plan_options.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "engine/io/file.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/cpu/options.h"
#include "kernels/cuda/options.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_bytes = 1 << 26;

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
  if (device.kind != DeviceKind::cuda) {
    throw ConfigError(
        fmt::format("tf32: expected a GPU, got {}, where f32 has all its bits (hint: --device "
                    "cuda:0)",
                    to_string(device)));
  }
  cuda::plan_options(Context::current(device).cuda()).allow_tf32 = true;
}

void set_convolutions(Device device, Convolutions how) {
  Context& ctx = Context::current(device);
  const bool exact = how == Convolutions::exact;
  if (device.kind == DeviceKind::cuda) cuda::plan_options(ctx.cuda()).exact = exact;
  if (device.kind == DeviceKind::cpu) cpu::conv_options(ctx.library()).exact = exact;
}

void copy_plan_options(Context& from, Context& to) {
  if (from.device().kind == DeviceKind::cuda) cuda::copy_options(from.cuda(), to.cuda());
}

void set_inference_weights(Device device, Dtype dtype) {
  if (dtype != Dtype::f32 && (dtype != Dtype::bf16 || device.kind != DeviceKind::cpu)) {
    throw ConfigError(
        fmt::format("weights: expected f32, or on the CPU bf16, got {} on {} (hint: "
                    "--dtype {} has weights and activations in it)",
                    name_of(dtype), to_string(device), name_of(dtype)));
  }
  if (device.kind == DeviceKind::cpu) {
    cpu::conv_options(Context::current(device).library()).bf16_weights = dtype == Dtype::bf16;
  }
}

void autotune(Device device, const std::string& file) {
  if (device.kind == DeviceKind::simt) {
    throw ConfigError(
        fmt::format("autotune: expected a GPU or the CPU, got {}, where there are no "
                    "plans to choose from",
                    to_string(device)));
  }
  Context& ctx = Context::current(device);
  PlanFile plans;
  if (!file.empty()) {
    make_folder(fs::absolute(file).parent_path());
    plans = {.name = file,
             .read = [file] { return exists(file) ? read_file(file, max_bytes) : ""; },
             .write = [file](const std::string& text) { write_file_atomically(file, text); }};
  }
  if (device.kind == DeviceKind::cuda) return cuda::autotune(ctx.cuda(), plans);
  cpu::autotune(ctx.library(), plans);
}

std::string describe_plan_options(Device device) {
  Context& ctx = Context::current(device);
  return device.kind == DeviceKind::cuda  ? cuda::describe_plans(ctx.cuda())
         : device.kind == DeviceKind::cpu ? cpu::describe_plans(ctx.library())
                                          : "";
}

std::string plan_cache_path() {
  if (const char* file = std::getenv("HAC_PLAN_CACHE"); file && *file) return file;
  fs::path cache = folder_from("XDG_CACHE_HOME");
  if (cache.empty() && !folder_from("HOME").empty()) cache = folder_from("HOME") / ".cache";
  if (cache.empty()) {
    throw ConfigError("HAC_PLAN_CACHE: expected a file, got none, and HOME is not set either");
  }
  return cache / "hacscale" / "plans.txt";
}

std::string describe_plan_cache(const std::string& file) {
  if (!exists(file)) return "";
  try {
    const auto plans = parse_tuned_plans(read_file(file, max_bytes), file);
    return fmt::format("{}, {} plans", file, plans.size());
  } catch (const IoError& e) {
    return e.what();
  }
}

}  // namespace hac
