// libFuzzer target: clang++ -fsanitize=fuzzer,address,undefined with the library's sources.
// Any input must parse or throw IoError, and so must each of its tensors.

#include <cstddef>
#include <cstdint>

#include "engine/io/safetensors.h"
#include "kernels/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const hac::SafetensorsReader reader({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& [name, info] : reader.tensors()) {
      try {
        reader.read(name);
      } catch (const hac::IoError&) {  // a type that is not read; others may be
      }
    }
  } catch (const hac::IoError&) {
  }
  return 0;
}
