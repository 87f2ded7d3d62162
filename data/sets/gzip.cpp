#include "data/sets/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "kernels/core/error.h"

namespace hac {

std::string read_gzip_file(const std::string& path, std::uint64_t max_bytes) {
  const auto fail = [&](const std::string& what) {
    throw IoError(fmt::format("gzip '{}': {}", path, what));
  };
  errno = 0;
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose_r);
  if (!file) fail(errno != 0 ? std::strerror(errno) : "out of memory");
  constexpr std::uint64_t chunk = 1 << 20;
  gzbuffer(file.get(), chunk);
  std::string out;
  for (int got = 1; got > 0;) {
    const std::size_t have = out.size();
    // One byte above the bound is enough to know that it is crossed.
    out.resize(have + std::min(chunk, max_bytes + 1 - have));
    got = gzread(file.get(), out.data() + have, static_cast<unsigned>(out.size() - have));
    out.resize(have + std::max(got, 0));
    if (out.size() > max_bytes)
      fail(fmt::format("expected at most {} bytes inside, got more", max_bytes));
  }
  int status = Z_OK;
  std::string message = gzerror(file.get(), &status);
  if (message.starts_with(path + ": ")) message.erase(0, path.size() + 2);
  if (status == Z_BUF_ERROR)
    fail(fmt::format("the file is cut: expected more after {} bytes inside", out.size()));
  if (status != Z_OK && status != Z_STREAM_END) fail("corrupt: " + message);
  return out;
}

std::uint32_t crc32_of(std::string_view bytes, std::uint32_t before) {
  return static_cast<std::uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace hac
