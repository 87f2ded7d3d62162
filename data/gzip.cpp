#include "data/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "kernels/error.h"

namespace hac {
namespace {

struct Inflater {
  z_stream stream{};
  explicit Inflater(const std::string& where) {
    constexpr int gzip_only = 15 + 16;
    if (inflateInit2(&stream, gzip_only) != Z_OK) {
      throw IoError(fmt::format("gzip '{}': zlib cannot start", where));
    }
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

constexpr std::size_t chunk = std::size_t{1} << 20;

}  // namespace

bool is_gzip(std::string_view bytes) {
  return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
}

std::string gunzip(std::string_view bytes, const std::string& where, std::uint64_t max_bytes) {
  if (bytes.size() > std::numeric_limits<uInt>::max()) {
    throw IoError(
        fmt::format("gzip '{}': expected less than 4 GiB, got {} bytes", where, bytes.size()));
  }
  Inflater inflater(where);
  z_stream& z = inflater.stream;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());

  std::string out;
  for (;;) {
    const std::size_t have = out.size();
    // One byte above the bound is enough to know that it is crossed.
    const std::size_t room = std::min<std::uint64_t>(chunk, max_bytes + 1 - have);
    out.resize(have + room);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + have);
    z.avail_out = static_cast<uInt>(room);
    const int status = inflate(&z, Z_NO_FLUSH);
    out.resize(have + room - z.avail_out);
    if (out.size() > max_bytes) {
      throw IoError(
          fmt::format("gzip '{}': expected at most {} bytes inside, got more", where, max_bytes));
    }
    if (status == Z_STREAM_END) {
      if (z.avail_in == 0) return out;
      if (!is_gzip(bytes.substr(bytes.size() - z.avail_in))) {
        throw IoError(
            fmt::format("gzip '{}': {} bytes after the end of the stream", where, z.avail_in));
      }
      inflateReset(&z);
    } else if (status == Z_BUF_ERROR || (status == Z_OK && z.avail_in == 0 && z.avail_out > 0)) {
      throw IoError(fmt::format("gzip '{}': the file is cut: expected more after {} bytes", where,
                                bytes.size()));
    } else if (status != Z_OK) {
      throw IoError(fmt::format("gzip '{}': corrupt: {}", where, z.msg ? z.msg : "zlib error"));
    }
  }
}

}  // namespace hac
