#pragma once
// A dense n-dimensional array: shared storage + shape + dtype + layout. A value type: copies share
// the bytes, clone() copies them. No strides and no views but batch slices.

#include <memory>
#include <span>
#include <vector>

#include "engine/tensor/storage.h"
#include "kernels/core/types.h"

namespace hac {

Shape shape_of(std::span<const std::int64_t> dims);  // at most 4

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage
  // Contents undefined, but on the CPU for layout padding and the storage's tail, which are zero.
  static Tensor empty(const Shape& shape, Dtype dtype = Dtype::f32, Device device = {},
                      Layout layout = Layout::plain);
  static Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32, Device device = {},
                      Layout layout = Layout::plain);
  // Like empty, in layout_of(device, shape): what an op's output is made with.
  static Tensor activation(const Shape& shape, Dtype dtype = Dtype::f32, Device device = {});
  // Over memory that is there already and large enough, as it is. Throws ShapeError if it is not.
  static Tensor over(std::shared_ptr<Storage> storage, const Shape& shape, Dtype dtype,
                     Layout layout);
  static Tensor from(std::span<const float> values, const Shape& shape);  // plain f32 on the CPU
  static Tensor from(std::span<const std::int32_t> values, const Shape& shape);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  Dtype dtype() const { return dtype_; }
  Layout layout() const { return layout_; }
  Device device() const { return storage_ ? storage_->device() : Device{}; }
  std::int64_t numel() const { return shape_.numel(); }
  std::int64_t storage_numel() const { return storage_elements(layout_, shape_); }
  std::size_t bytes() const { return storage_numel() * size_of(dtype_); }
  // Whether another tensor holds the same memory.
  bool shared() const { return storage_.use_count() > 1; }

  void* data() const { return static_cast<char*>(storage_->data()) + offset_; }
  template <class T = float>
  T* as() const {
    return static_cast<T*>(data());
  }
  // The elements in storage order. Throws DeviceError unless the tensor is on the CPU.
  std::span<float> floats() const;

  Tensor clone() const;
  void zero() const;
  // The numbers of another of any device and layout; same shape and dtype, else ShapeError.
  void copy_from(const Tensor& other) const;
  // The same numbers, dtype and layout on another device (this tensor itself if it is there).
  Tensor to(Device device) const;
  // The same numbers in another float type, rounded (this tensor itself if it has it).
  Tensor cast(Dtype dtype) const;
  // The same numbers in another layout (this tensor's storage where they already lie so).
  Tensor to(Layout layout) const;
  Tensor plain() const { return to(Layout::plain); }
  // Images [begin, end) of the leading dimension, sharing the bytes.
  Tensor slice(std::int64_t begin, std::int64_t end) const;
  // The same bytes under another shape with as many elements; plain only.
  Tensor reshape(const Shape& shape) const;
  float item() const;                    // the value of a one-element f32 tensor
  std::vector<float> to_vector() const;  // logical order, any float type as f32

 private:
  std::shared_ptr<Storage> storage_;
  std::size_t offset_ = 0;
  Shape shape_;
  Dtype dtype_ = Dtype::f32;
  Layout layout_ = Layout::plain;
};

bool all_finite(const Tensor& t);  // of any device

}  // namespace hac
