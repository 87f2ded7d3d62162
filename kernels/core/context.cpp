#include "kernels/core/context.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/core/context_scope.h"
#include "kernels/core/denormals.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "kernels/core/table.h"

namespace hac {
namespace {

std::atomic<std::size_t>& total_scratch(Device device) {
  static std::mutex mutex;
  static auto& totals = *new std::map<Device, std::atomic<std::size_t>>;  // outlives all contexts
  const std::scoped_lock lock(mutex);
  return totals[device];
}

std::shared_ptr<void> allocate_scratch(Device device, std::size_t bytes) {
  std::shared_ptr<void> memory = allocate_unkept(device, bytes);
  if (memory) return memory;
  constexpr double mib = 1 << 20;
  throw OutOfMemory(
      fmt::format("scratch memory on {}: requested {:.1f} MiB, the system has no more; {}",
                  to_string(device), bytes / mib, memory_keeper().describe(device)));
}

thread_local Context* in_place = nullptr;  // ContextScope

const int openmp_threads = omp_get_max_threads();  // before anyone asks for others

int default_threads() {
  const char* asked = std::getenv("OMP_NUM_THREADS");
  if (asked && *asked) return openmp_threads;
  return std::min(threads_within(limits()), omp_get_thread_limit());
}

}  // namespace

Context::Context(Device device) : device_(device), runtime_(runtime_of(device)) {
  flush_denormals();
  if (runtime_.open) opened_ = runtime_.open(device);
}

Context::~Context() { release_scratch(); }

Context& Context::current(Device device) {
  if (in_place && in_place->device_ == device) return *in_place;
  thread_local std::map<Device, Context> contexts;
  auto it = contexts.find(device);
  if (it == contexts.end()) it = contexts.try_emplace(device, device).first;
  it->second.runtime_.make_current(device);
  return it->second;
}

ContextScope::ContextScope(Context& ctx) : before_(std::exchange(in_place, &ctx)) {
  ctx.runtime().make_current(ctx.device());
}
ContextScope::~ContextScope() { in_place = before_; }

void* Context::scratch(std::size_t bytes) {
  if (bytes > scratch_bytes_) {
    refuse_in_capture(fmt::format("scratch memory of {} bytes", bytes));
    release_scratch();
    scratch_ = allocate_scratch(device_, bytes);
    void* data = scratch_.get();
    scratch_.reset(data, [device = device_, bytes, memory = scratch_](void*) {
      total_scratch(device) -= bytes;
    });
    scratch_bytes_ = bytes;
    total_scratch(device_) += bytes;
  }
  // simt finds what goes past an end: what was asked for ends where the memory does.
  const bool exact = device_.kind == DeviceKind::simt;
  const std::size_t skipped = exact ? (scratch_bytes_ - bytes) / 16 * 16 : 0;
  return static_cast<char*>(scratch_.get()) + skipped;
}

unsigned* Context::tickets(std::int64_t count) {
  if (count > most_tickets) {
    throw ShapeError(fmt::format("{}: expected at most {} sums that blocks finish, got {}",
                                 to_string(device_), most_tickets, count));
  }
  constexpr std::size_t bytes = most_tickets * sizeof(unsigned);
  if (!tickets_) {
    refuse_in_capture("memory for tickets");
    tickets_ = allocate_scratch(device_, bytes);
    runtime_.zero(*this, tickets_.get(), bytes);
  }
  auto* first = static_cast<unsigned*>(tickets_.get());
  if (device_.kind != DeviceKind::simt) return first;
  // A kernel that threw has left some drawn there; and what goes past the end is to be found.
  if (!capturing()) std::fill_n(first, most_tickets, 0U);
  return first + (most_tickets - count);
}

void Context::release_scratch() {
  scratch_.reset();
  scratch_bytes_ = 0;
}

std::shared_ptr<void> Context::keep_for_replay() {
  using Kept = std::array<std::shared_ptr<void>, 3>;
  return std::make_shared<Kept>(
      Kept{tickets_, scratch_, runtime_.keep_plans ? runtime_.keep_plans(*this) : nullptr});
}

constexpr std::int64_t part_alignment = 256;

Scratch::Scratch(Context& ctx, std::initializer_list<std::size_t> parts) {
  std::size_t total = 0;
  for (const std::size_t bytes : parts) total += round_up(bytes, part_alignment);
  if (total > 0) next_ = static_cast<char*>(ctx.scratch(total));
}

void* Scratch::take(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  return std::exchange(next_, next_ + round_up(bytes, part_alignment));
}

std::size_t Context::total_scratch_bytes(Device device) { return total_scratch(device); }

void set_num_threads(int threads) {
  omp_set_num_threads(threads > 0 ? threads : default_threads());
#pragma omp parallel
  flush_denormals();
}

int num_threads() { return std::min(omp_get_max_threads(), omp_get_thread_limit()); }

void rethrow_naming(const std::string& spec, Device device, const DeviceError& error) {
  const std::string message = error.what();
  if (message.find(spec) != std::string::npos) throw;
  rethrow_device_error(fmt::format("{} on {}: {}", spec, to_string(device), message));
}

void throw_empty(const std::string& spec) {
  throw ShapeError(fmt::format("{}: expected at least one image, got none", spec));
}

void throw_unavailable(const std::string& spec, Device device) {
  throw DeviceError(fmt::format("{}: not available on {}", spec, to_string(device)));
}

}  // namespace hac
