#include "engine/io/appended_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/core/error.h"

namespace hac {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw IoError(fmt::format("log '{}': cannot be written: {}", path, std::strerror(errno)));
}

}  // namespace

AppendedFile::AppendedFile(std::string path, std::uint64_t size) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(size)) != 0) fail(path_);
}

AppendedFile::~AppendedFile() {
  if (fd_ >= 0) ::close(fd_);
}

void AppendedFile::append(std::string_view bytes) {
  waiting_.append(bytes);
  write_waiting();
}

void AppendedFile::flush() {
  if (!write_waiting()) fail(path_);
}

bool AppendedFile::write_waiting() {
  while (!waiting_.empty()) {
    const ssize_t n = ::write(fd_, waiting_.data(), waiting_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    waiting_.erase(0, static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace hac
