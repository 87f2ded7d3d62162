#include "engine/io/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/io/file.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw IoError(fmt::format("log '{}': cannot be written: {}", path, std::strerror(errno)));
}

bool keep(std::string_view line, std::int64_t last_step) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) return false;
  const auto type = object.find("type");
  if (type != object.end() && *type == "result") return false;
  const auto step = object.find("step");
  return step == object.end() || !step->is_number() || step->get<double>() <= last_step;
}

// The complete lines of the old log up to a step.
std::string kept_lines(const std::string& path, std::int64_t last_step) {
  if (!std::filesystem::exists(path)) return "";
  const std::string old = read_file(path);
  std::string kept;
  for (std::size_t at = 0, end; (end = old.find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string_view line(old.data() + at, end - at);
    if (keep(line, last_step)) kept.append(line) += '\n';
  }
  return kept;
}

}  // namespace

JsonLog::JsonLog(std::string path, std::optional<std::int64_t> resume_step)
    : path_(std::move(path)) {
  write_file_atomically(path_, resume_step ? kept_lines(path_, *resume_step) : "");
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) fail(path_);
}

JsonLog::~JsonLog() {
  if (fd_ >= 0) ::close(fd_);
}

void JsonLog::append(std::string_view object) {
  waiting_.append(object) += '\n';
  write_waiting();
}

void JsonLog::flush() {
  if (!write_waiting()) fail(path_);
}

bool JsonLog::write_waiting() {
  while (!waiting_.empty()) {
    const ssize_t n = ::write(fd_, waiting_.data(), waiting_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    waiting_.erase(0, static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace hac
