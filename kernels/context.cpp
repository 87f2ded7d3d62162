#include "kernels/context.h"

#include <fmt/format.h>
#include <omp.h>

#include <atomic>
#include <cstdlib>
#include <map>

#include "kernels/cpu/library.h"
#include "kernels/error.h"
#include "kernels/table.h"

namespace hac {
namespace {

std::atomic<std::size_t> total_scratch = 0;

}  // namespace

void Context::Free::operator()(void* p) const { std::free(p); }

Context::Context(Device device) : device_(device) {
  if (device.kind != DeviceKind::cpu) {
    throw DeviceError(fmt::format("device '{}': this build has the CPU only (hint: --device cpu)",
                                  to_string(device)));
  }
  library_ = std::make_unique<cpu::Library>();
}

Context::~Context() { release_scratch(); }

Context& Context::current(Device device) {
  thread_local std::map<Device, Context> contexts;
  const auto it = contexts.find(device);
  return it != contexts.end() ? it->second : contexts.try_emplace(device, device).first->second;
}

void* Context::scratch(std::size_t bytes) {
  if (bytes > scratch_bytes_) {
    release_scratch();
    scratch_.reset(std::aligned_alloc(64, round_up(bytes, 64)));
    if (!scratch_) throw OutOfMemory(fmt::format("scratch: {} bytes requested", bytes));
    scratch_bytes_ = bytes;
    total_scratch += bytes;
  }
  return scratch_.get();
}

void Context::release_scratch() {
  scratch_.reset();
  total_scratch -= scratch_bytes_;
  scratch_bytes_ = 0;
}

std::size_t Context::total_scratch_bytes() { return total_scratch; }

void set_num_threads(int threads) {
  omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
}

int num_threads() { return omp_get_max_threads(); }

void throw_unavailable(const std::string& spec, Device device) {
  throw DeviceError(fmt::format("{}: not available on {}", spec, to_string(device)));
}

}  // namespace hac
