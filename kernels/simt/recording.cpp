#include "kernels/simt/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <utility>

#include "kernels/core/context.h"
#include "kernels/core/error.h"

namespace hac::simt {
namespace {

std::atomic<std::int64_t> replayed = 0;

}  // namespace

std::int64_t replays() { return replayed; }

RecordedWork::RecordedWork(const Context& recording)
    : device_(recording.device()), streams_{&recording} {}

int RecordedWork::find(const Context& ctx) const {
  const auto it = std::find(streams_.begin(), streams_.end(), &ctx);
  return it == streams_.end() ? -1 : static_cast<int>(it - streams_.begin());
}

void RecordedWork::add(const Context& ctx, std::function<void()> call) {
  if (ctx.device() != device_) {
    throw DeviceError(fmt::format("capture: expected only work of {}, got some of {}",
                                  to_string(device_), to_string(ctx.device())));
  }
  const int stream = find(ctx);
  if (stream < 0) {
    throw DeviceError("capture: got work of a context that does not follow the one that records");
  }
  entries_.push_back({.stream = stream, .call = std::move(call)});
}

void RecordedWork::follow(const Context& ctx, const Context& other) {
  const int before = find(other);
  if (before < 0) throw DeviceError("capture: got an order behind work that is not recorded");
  if (find(ctx) < 0) streams_.push_back(&ctx);
  entries_.push_back({.stream = find(ctx), .call = {}, .other = before, .until = entries_.size()});
}

void RecordedWork::require_joined() const {
  std::vector<std::size_t> joined(streams_.size(), 0);
  for (const Entry& e : entries_) {
    if (!e.call && e.stream == 0) joined[e.other] = e.until;
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& e = entries_[i];
    if (!e.call || e.stream == 0 || i < joined[e.stream]) continue;
    throw DeviceError("capture: ends before work of another context, which nothing waits for");
  }
}

std::size_t RecordedWork::next_of(int stream, std::size_t from) const {
  while (from < entries_.size() && entries_[from].stream != stream) ++from;
  return from;
}

void RecordedWork::replay(const Options& options) const {
  ++replayed;
  if (options.streams == Streams::as_given) {
    for (const Entry& e : entries_) {
      if (e.call) e.call();
    }
    return;
  }
  std::mt19937_64 random(options.seed);
  const int n = static_cast<int>(streams_.size());
  std::vector<std::size_t> next(n);
  for (int s = 0; s < n; ++s) next[s] = next_of(s, 0);
  while (true) {
    std::vector<int> ready;
    for (int s = 0; s < n; ++s) {
      if (next[s] == entries_.size()) continue;
      const Entry& e = entries_[next[s]];
      if (e.call || next[e.other] >= e.until) ready.push_back(s);
    }
    if (ready.empty()) return;
    const int s = options.streams == Streams::recording_first ? ready.front()
                  : options.streams == Streams::others_first  ? ready.back()
                                                              : ready[random() % ready.size()];
    if (entries_[next[s]].call) entries_[next[s]].call();
    next[s] = next_of(s, next[s] + 1);
  }
}

}  // namespace hac::simt
