// libFuzzer: idx and CIFAR records from hostile bytes. Only IoError may come out.

#include <cstdint>
#include <string_view>

#include "data/sets/cifar.h"
#include "data/sets/fashion_mnist.h"
#include "data/sets/image_set.h"
#include "kernels/core/error.h"

namespace {

template <class Parse>
void tolerate(Parse parse) {
  try {
    parse();
  } catch (const hac::IoError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const int rank : {1, 3}) {
    tolerate([&] {
      const hac::Idx idx = hac::parse_idx(bytes, rank, "fuzz");
      std::uint64_t product = 1;
      for (const std::int64_t n : idx.shape) product *= static_cast<std::uint64_t>(n);
      if (product != idx.bytes.size()) __builtin_trap();
    });
  }
  for (const hac::CifarLayout& layout : {hac::cifar10_layout(), hac::cifar100_layout()}) {
    tolerate([&] {
      hac::ImageSet set{.channels = 3, .resolution = 32, .classes = layout.classes};
      const auto record = static_cast<std::size_t>(layout.label_bytes) + 3072;
      hac::append_cifar(bytes, layout, static_cast<std::int64_t>(size / record), "fuzz", set);
      hac::in_memory(std::move(set));  // throws ShapeError if the parser let anything odd through
    });
  }
  return 0;
}
