#include "models/train/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "kernels/core/error.h"

namespace hac {
namespace {

std::string lock_file(const std::string& folder) { return folder + "/.lock"; }

std::string this_host() {
  char name[65] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// "process 12 on node7" of the text "12 node7", which an older program wrote without the machine.
std::string holder_of(int file) {
  char text[96] = {};
  if (::pread(file, text, sizeof text - 1, 0) <= 0 || std::atoi(text) <= 0) return "one";
  const std::string line(text, std::strcspn(text, "\n"));
  const std::size_t space = line.find(' ');
  const std::string host = space == std::string::npos ? "" : line.substr(space + 1);
  return fmt::format("process {}{}", std::atoi(text),
                     host.empty() || host == this_host() ? "" : " on " + host);
}

// Closes the file and throws if another process holds it. A file system without locks lets
// everybody in.
void take(int file, int how, const std::string& folder) {
  if (::flock(file, how | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  const std::string holder = holder_of(file);
  ::close(file);
  throw IoError(fmt::format(
      "folder '{}': expected no other process to work in it, got {} (hint: wait until it has "
      "ended, or name another folder)",
      folder, holder));
}

bool is_still_at(int file, const std::string& path) {
  struct stat here = {}, there = {};
  return ::fstat(file, &here) == 0 && ::stat(path.c_str(), &there) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

}  // namespace

FolderLock::FolderLock(const std::string& folder, const std::string& name)
    : path_(folder + "/" + name) {
  for (;;) {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) {
      throw IoError(fmt::format("file '{}': cannot be opened: {}", path_, std::strerror(errno)));
    }
    take(file_, LOCK_EX, folder);
    if (is_still_at(file_, path_)) break;
    ::close(file_);  // its holder ended and removed it between the two calls
  }
  const std::string process = fmt::format("{} {}\n", ::getpid(), this_host());
  // Only for the message that another process prints, which says less without.
  [[maybe_unused]] const bool written =
      ::ftruncate(file_, 0) == 0 && ::write(file_, process.data(), process.size()) > 0;
}

FolderLock::~FolderLock() {
  ::unlink(path_.c_str());
  ::close(file_);
}

void require_free(const std::string& folder) {
  const int file = ::open(lock_file(folder).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  take(file, LOCK_SH, folder);
  ::close(file);
}

}  // namespace hac
