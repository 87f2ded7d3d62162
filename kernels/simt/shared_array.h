#pragma once
// An array in shared memory as kernels see it under simt: a[i] stands for the element, and every
// read and write of it is checked (access_shared in executor.h).

#include <concepts>
#include <cstddef>

#include "kernels/simt/executor.h"

namespace hac::simt {

// Converts to T and to nothing else: beside a literal 0 in a conditional expression it would become
// an int. What is reckoned with is read into a variable first.
template <class T>
class SharedElement {
 public:
  SharedElement(SharedSpan array, std::size_t i, Place at) : array_(array), i_(i), at_(at) {}

  template <std::same_as<T> U>
  operator U() const {  // NOLINT(google-explicit-constructor): it is read like the element itself
    access_shared(array_.array, i_, Access::load, at_);
    return data()[i_];
  }
  T operator=(T value) const {  // NOLINT(misc-unconventional-assign-operator)
    access_shared(array_.array, i_, Access::store, at_);
    return data()[i_] = value;
  }
  T operator=(const SharedElement& other) const { return *this = static_cast<T>(other); }
  T operator+=(T value) const { return *this = static_cast<T>(*this) + value; }
  // What is done through a pointer is not checked.
  T* operator&() const { return data() + i_; }

 private:
  T* data() const { return static_cast<T*>(array_.data); }

  SharedSpan array_;
  std::size_t i_;
  Place at_;
};

// An index that knows the line it was written on.
struct SharedIndex {
  template <std::integral I>
  SharedIndex(I i, Place at = Place::here())  // NOLINT(google-explicit-constructor)
      : value(static_cast<std::size_t>(i)), at(at) {}
  std::size_t value;
  Place at;
};

template <class T, std::size_t n>
class SharedArray {
 public:
  static_assert(alignof(T) <= 16);
  explicit SharedArray(const void* tag) : array_(shared(tag, sizeof(T), n)) {}
  SharedElement<T> operator[](SharedIndex i) const { return {array_, i.value, i.at}; }

 private:
  SharedSpan array_;
};

}  // namespace hac::simt
