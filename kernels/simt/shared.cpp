#include "kernels/simt/shared.h"

#include <algorithm>
#include <cstring>

#include "kernels/simt/asan.h"
#include "kernels/simt/memory.h"

namespace hac::simt {
namespace {

constexpr std::size_t zone_bytes = 64, room = 2 * SharedMemory::limit;

}  // namespace

SharedMemory::SharedMemory() : memory_(std::make_unique<unsigned char[]>(room)) {}

SharedMemory::~SharedMemory() { clear(); }

void SharedMemory::clear() {
  asan::unpoison(memory_.get(), room);
  arrays_.clear();
}

const SharedMemory::Array* SharedMemory::get(const void* tag, std::size_t element_bytes,
                                             std::size_t elements) {
  std::size_t used = element_bytes * elements, cells = 0;
  const std::size_t bytes = used;
  for (const Array& a : arrays_) {
    if (a.tag == tag) return &a;
    used += a.end - a.begin;
    cells += a.elements;
  }
  const std::size_t begin = arrays_.empty() ? 0 : (arrays_.back().end + zone_bytes + 15) / 16 * 16;
  if (used > limit || begin + bytes + zone_bytes > room) return nullptr;
  arrays_.push_back({.tag = tag,
                     .begin = begin,
                     .end = begin + bytes,
                     .elements = elements,
                     .first_cell = cells,
                     .number = static_cast<int>(arrays_.size())});
  races_.reserve(cells + elements);
  std::memset(memory_.get() + begin, 0xFF, bytes);
  fill_zone(memory_.get() + begin + bytes, zone_bytes);
  asan::poison(memory_.get() + begin + bytes, zone_bytes);
  return &arrays_.back();
}

bool SharedMemory::intact() const {
  return std::all_of(arrays_.begin(), arrays_.end(), [&](const Array& a) {
    unsigned char* const zone = memory_.get() + a.end;
    asan::unpoison(zone, zone_bytes);
    return find_damage(zone, zone_bytes) == zone_bytes;
  });
}

}  // namespace hac::simt
