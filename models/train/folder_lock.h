#pragma once
// One folder, one process: two that write the same checkpoints would lose each other's.

#include <string>

namespace hac {

// Holds FOLDER/NAME while it lives. The kernel lets go when the process dies, however it dies, so
// a file that was left behind locks nothing.
class FolderLock {
 public:
  // The folder exists. Throws IoError naming it and the process that works in it, and its machine
  // if that is another one.
  explicit FolderLock(const std::string& folder, const std::string& name = ".lock");
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::string path_;
  int file_ = -1;
};

// Throws the same error where a process works in the folder now; changes nothing.
void require_free(const std::string& folder);

}  // namespace hac
