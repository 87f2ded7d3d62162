// libFuzzer target: clang++ -fsanitize=fuzzer,address,undefined with the library's sources.
// Any input must parse or throw an Error.

#include <cstddef>
#include <cstdint>

#include "kernels/core/error.h"
#include "models/deploy/onnx.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    hac::parse_onnx({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const hac::Error&) {
  }
  return 0;
}
