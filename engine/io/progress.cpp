#include "engine/io/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "engine/tensor/storage.h"

namespace hac {
namespace {

std::string clock_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::llround(seconds));
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::size_t columns_of(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string progress_line(const ProgressState& state, const ProgressFields& fields) {
  std::string line = fmt::format("{}  {}/{}", state.phase, state.done, state.total);
  const auto add = [&](bool known, std::string text) {
    if (known) line += "  " + text;
  };
  const bool timed = state.seconds > 0 && state.done > 0;
  add(!std::isnan(fields.loss), fmt::format("loss {:.4f}", fields.loss));
  add(!std::isnan(fields.accuracy), fmt::format("acc {:.1f} %", 100 * fields.accuracy));
  if (timed) {
    const double per_step = state.seconds / static_cast<double>(state.done);
    const auto left = static_cast<double>(std::max<std::int64_t>(0, state.total - state.done));
    add(state.images > 0,
        fmt::format("{:.0f} img/s", static_cast<double>(state.images) / state.seconds));
    add(left > 0, "eta " + clock_text(per_step * left));
    add(left == 0, "took " + clock_text(state.seconds));
  }
  add(!std::isnan(fields.lr), fmt::format("lr {:.4g}", fields.lr));
  add(state.memory > 0, fmt::format("mem {} MiB", (state.memory + (1 << 20) - 1) >> 20));
  return line;
}

Progress::Progress(std::string phase, std::int64_t total, bool quiet, Device device, std::FILE* out)
    : quiet_(quiet), terminal_(::isatty(::fileno(out)) == 1), device_(device), out_(out) {
  state_.phase = std::move(phase);
  state_.total = total;
}

Progress::~Progress() {
  if (width_ > 0) std::fputc('\n', out_);
}

void Progress::step(std::int64_t images, const ProgressFields& fields) {
  ++state_.done;
  state_.images += images;
  if (quiet_ || !terminal_) return;
  const auto now = Clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(fields, '\r');
}

void Progress::finish(const ProgressFields& fields) {
  if (!quiet_) draw(fields, '\n');
  width_ = 0;
}

double Progress::images_per_second() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return seconds > 0 ? static_cast<double>(state_.images) / seconds : 0;
}

// Ends in \r to be overwritten by the next one, or in \n to stay.
void Progress::draw(const ProgressFields& fields, char end) {
  state_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const MemoryStats memory = memory_stats(device_);
  state_.memory = memory.peak + memory.scratch;
  std::string line = progress_line(state_, fields);
  // A line that wraps cannot be overwritten.
  if (end == '\r') line.resize(std::min(line.size(), columns_of(out_) - 1));
  const std::size_t width = line.size();
  line.resize(std::max(width, width_), ' ');
  line += end;
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
  width_ = width;
}

}  // namespace hac
