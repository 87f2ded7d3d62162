#include "data/png.h"

#include <fmt/format.h>

#include <cstdlib>
#include <limits>
#include <memory>

#include "kernels/error.h"

namespace {

// stb_image inflates whatever the file holds; this bounds every block that it asks for.
thread_local std::size_t max_block = 0;

void* bounded_malloc(std::size_t bytes) { return bytes > max_block ? nullptr : std::malloc(bytes); }
void* bounded_realloc(void* old, std::size_t bytes) {
  return bytes > max_block ? nullptr : std::realloc(old, bytes);
}

}  // namespace

#define STBI_MALLOC(bytes) bounded_malloc(bytes)
#define STBI_REALLOC(old, bytes) bounded_realloc(old, bytes)
#define STBI_FREE(block) std::free(block)
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace hac {

Png decode_png(std::string_view bytes, const std::string& where, std::int64_t max_pixels) {
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw IoError(
        fmt::format("image '{}': expected a PNG below 2 GiB, got {} bytes", where, bytes.size()));
  }
  // Four channels of 16 bits and a filter byte a row is the most that a valid file inflates to; the
  // inflater doubles its buffer.
  max_block = 2 * (8 * static_cast<std::size_t>(max_pixels) + (std::size_t{1} << 20));
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  const auto fail = [&] {
    return IoError(fmt::format("image '{}': corrupt PNG: {}", where, stbi_failure_reason()));
  };
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(data, size, &width, &height, &channels)) throw fail();
  check_pixels(width, height, max_pixels, where);
  const std::unique_ptr<stbi_uc, decltype(&std::free)> rgb(
      stbi_load_from_memory(data, size, &width, &height, &channels, 3), &std::free);
  if (!rgb) throw fail();
  return {height, width, {rgb.get(), rgb.get() + std::size_t{3} * width * height}};
}

}  // namespace hac
