// libFuzzer target: clang++ -fsanitize=fuzzer,address,undefined with the library's sources.
// Any input must parse or throw IoError.

#include <cstddef>
#include <cstdint>

#include "engine/safetensors.h"
#include "kernels/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    hac::parse_safetensors(reinterpret_cast<const char*>(data), size, "fuzz");
  } catch (const hac::IoError&) {
  }
  return 0;
}
