#pragma once
// JPEG by libjpeg-turbo, which only jpeg.cpp sees.

#include "data/decode.h"

namespace hac {

// Throws IoError, naming `where`: corrupt, cut, or more than max_pixels. What a decoder can mend
// without harm to a pixel is no error: odd scan parameters in sequential files, an unknown JFIF
// version or Adobe transform, bytes that belong to no marker.
Sample decode_jpeg(std::string_view bytes, const std::string& where, const DecodeOptions& options);

// The markers from the first to the end of the image, without decoding. Throws IoError: cut in a
// segment or before the end marker, no frame or scan, or more than max_pixels.
void check_jpeg(std::string_view bytes, const std::string& where, std::int64_t max_pixels);

}  // namespace hac
