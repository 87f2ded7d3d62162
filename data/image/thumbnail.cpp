#include "data/image/thumbnail.h"

#include <algorithm>

#include "data/image/jpeg_encode.h"
#include "data/image/png_encode.h"
#include "data/image/view.h"
#include "engine/io/base64.h"

namespace hac {

std::string thumbnail(StoredImage stored, std::int64_t side) {
  constexpr int quality = 85;
  // A JPEG may come smaller than it is, but not than what is asked for.
  Sample image = decode(std::move(stored), {.shorter_side = side});
  const std::int64_t longer = std::max(image.height, image.width);
  if (longer <= side) return "data:image/png;base64," + base64(encode_png(image));
  const auto scaled = [&](std::int64_t n) {
    return std::max<std::int64_t>(1, (n * side + longer / 2) / longer);
  };
  const std::int64_t height = scaled(image.height), width = scaled(image.width);
  View view(std::move(image));
  view.resize(height, width);
  return "data:image/jpeg;base64," + base64(encode_jpeg(view.render(3), quality));
}

}  // namespace hac
