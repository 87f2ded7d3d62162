#pragma once
// JPEG by libjpeg-turbo, which only jpeg.cpp sees.

#include "data/image/decode.h"

namespace hac {

// Throws IoError, naming `where`: corrupt, cut, or more than max_pixels. Any warning of libjpeg
// about a scan's rows is an error at any scale, for all of them are read. What changes no pixel is
// none: odd scan parameters in sequential files, an unknown JFIF version or Adobe transform, bytes
// that belong to no marker before the first scan or stand behind the end marker.
Sample decode_jpeg(std::string_view bytes, const std::string& where, const DecodeOptions& options);

// As decode_part() says.
DecodedPart decode_jpeg_part(std::string_view bytes, const std::string& where,
                             const ChooseBox& choose, std::int64_t side);

}  // namespace hac
