#include "engine/io/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "kernels/core/error.h"

namespace hac {
namespace {

[[noreturn]] void fail(const std::string& path, std::string_view what, int error) {
  throw IoError(fmt::format("file '{}': {}: {}", path, what, std::strerror(error)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  // 0, or -1 with errno; network file systems report a failed write only here.
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return fd < 0 ? 0 : ::close(fd);
  }

 private:
  int fd_;
};

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// A rename over a device or folder would replace it.
void require_replaceable(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    throw IoError(fmt::format("file '{}': expected a regular file, got something else", path));
}

// Writes, syncs and closes; returns 0 or the error number.
int write_and_sync(const std::string& path, std::string_view bytes) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) return errno;
  while (!bytes.empty()) {
    const ssize_t n = ::write(file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(file.get()) != 0) return errno;
  return file.close() == 0 ? 0 : errno;
}

// The process that wrote under this temporary name; 0 for any other name.
int writer_of(const std::string& name) {
  const std::size_t at = name.rfind(".tmp-");
  if (at == std::string::npos) return 0;
  int process = 0;
  unsigned number = 0;
  char more = 0;
  const int fields = std::sscanf(name.c_str() + at, ".tmp-%d-%u%c", &process, &number, &more);
  return fields == 2 && process > 0 ? process : 0;
}

}  // namespace

std::string read_file(const std::string& path, std::uint64_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail(path, "cannot be opened", errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail(path, "cannot be read", errno);
  if (S_ISDIR(info.st_mode)) fail(path, "cannot be read", EISDIR);
  constexpr std::size_t chunk = 1 << 20;
  std::string bytes;
  if (S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) <= max_bytes)
    bytes.reserve(static_cast<std::size_t>(info.st_size) + chunk);
  // The bound holds for what is read, not for what stat said: the file may grow, or be a pipe.
  for (;;) {
    const std::size_t before = bytes.size();
    bytes.resize(before + chunk);
    const ssize_t n = ::read(file.get(), bytes.data() + before, chunk);
    const int error = errno;
    bytes.resize(before + static_cast<std::size_t>(n > 0 ? n : 0));
    if (n < 0 && error == EINTR) continue;
    if (n < 0) fail(path, "cannot be read", error);
    if (bytes.size() > max_bytes)
      throw IoError(fmt::format("file '{}': expected at most {} bytes, got more", path, max_bytes));
    if (n == 0) return bytes;
  }
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  require_replaceable(path);
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format("{}.tmp-{}-{}", path, ::getpid(), counter++);
  int error = write_and_sync(temporary, bytes);
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail(path, "cannot be written", error);
  }
  // Makes the rename itself survive a power cut; a file system that cannot is no error.
  const Descriptor folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() >= 0) ::fsync(folder.get());
}

void remove_leftovers(const std::string& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> left;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const int process = writer_of(it->path().filename().string());
    if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) left.push_back(it->path());
  }
  for (const auto& path : left) std::filesystem::remove(path, error);
}

namespace {

[[noreturn]] void cannot_be_made(const std::string& folder, const std::error_code& error) {
  throw IoError(fmt::format("folder '{}': cannot be made: {}", folder, error.message()));
}

void require_writable(const std::string& folder) {
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return;
  throw IoError(fmt::format("folder '{}': cannot be written to: {}", folder, std::strerror(errno)));
}

}  // namespace

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) cannot_be_made(path, error);
  require_writable(path);
}

void require_makeable(const std::string& folder) {
  std::filesystem::path there = std::filesystem::absolute(folder);
  std::error_code error;
  std::filesystem::file_status status;
  for (;; there = there.parent_path()) {
    status = std::filesystem::status(there, error);
    if (status.type() != std::filesystem::file_type::not_found) break;
    // A link to nowhere is in the way.
    if (std::filesystem::is_symlink(std::filesystem::symlink_status(there, error))) break;
  }
  if (status.type() != std::filesystem::file_type::directory) {
    cannot_be_made(folder, error ? error : std::make_error_code(std::errc::not_a_directory));
  }
  if (::access(there.c_str(), W_OK | X_OK) == 0) return;
  if (there == std::filesystem::absolute(folder)) require_writable(folder);
  cannot_be_made(folder, std::error_code(errno, std::generic_category()));
}

void require_writable_file(const std::string& path) {
  require_replaceable(path);
  if (::access(folder_of(path).c_str(), W_OK | X_OK) != 0) fail(path, "cannot be written", errno);
}

}  // namespace hac
