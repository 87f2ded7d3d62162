#pragma once
// What the data tests make their files with: small encoders.

#include <gtest/gtest.h>
#include <turbojpeg.h>
#include <zlib.h>

#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "kernels/error.h"
#include "tests/temp_folder.h"

namespace hac::testing {

// The message of the error of type E that `action` throws; the test fails without one.
template <class E>
std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no error";
  return "";
}

inline void expect_contains(const std::string& text, const std::string& part, int line) {
  EXPECT_NE(text.find(part), std::string::npos)
      << "line " << line << ": no '" << part << "' in: " << text;
}
#define EXPECT_CONTAINS(text, part) ::hac::testing::expect_contains(text, part, __LINE__)

inline std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string gzip(const std::string& bytes) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, bytes.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

// `packed` holds interleaved pixels in a TJPF_* format.
inline std::string jpeg(const std::vector<std::uint8_t>& packed, int width, int height,
                        int format = TJPF_RGB, int subsampling = TJSAMP_444, int flags = 0) {
  tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(handle, packed.data(), width, 0, height, format, &buffer, &size,
                        subsampling, 95, flags),
            0)
      << tjGetErrorStr2(handle);
  std::string bytes(reinterpret_cast<char*>(buffer), size);
  tjFree(buffer);
  tjDestroy(handle);
  return bytes;
}

// `rows` holds a filter byte (0) before each row; colour is PNG's: 0 grey, 2 RGB, 6 RGBA.
inline std::string png(const std::string& rows, std::uint32_t width, std::uint32_t height,
                       int depth, int colour) {
  const auto chunk = [](const std::string& type, const std::string& body) {
    const std::string data = type + body;
    const auto* bytes = reinterpret_cast<const Bytef*>(data.data());
    const auto crc = static_cast<std::uint32_t>(crc32(0, bytes, static_cast<uInt>(data.size())));
    return big_endian(static_cast<std::uint32_t>(body.size())) + data + big_endian(crc);
  };
  std::string packed(compressBound(rows.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  packed.resize(size);
  const std::string header = big_endian(width) + big_endian(height) + static_cast<char>(depth) +
                             static_cast<char>(colour) + std::string(3, '\0');
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("IDAT", packed) + chunk("IEND", "");
}

}  // namespace hac::testing
