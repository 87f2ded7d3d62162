#pragma once
// A file that grows while a program works, whatever becomes of the disk or the process.

#include <cstdint>
#include <string>
#include <string_view>

namespace hac {

class AppendedFile {
 public:
  // The file exists. What lies behind `size` is cut off. Throws IoError when it cannot be written.
  AppendedFile(std::string path, std::uint64_t size);
  ~AppendedFile();
  AppendedFile(const AppendedFile&) = delete;
  AppendedFile& operator=(const AppendedFile&) = delete;

  // Written at once, so that it survives kill -9. What the file does not take (disk full) waits for
  // the next append or flush.
  void append(std::string_view bytes);
  // Throws IoError where something still waits.
  void flush();

 private:
  bool write_waiting();

  std::string path_, waiting_;
  int fd_ = -1;
};

}  // namespace hac
