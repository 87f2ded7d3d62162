#include "engine/tensor/tensor.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "kernels/core/error.h"
#include "kernels/ops/elementwise.h"

namespace hac {
namespace {

// A block's added channels must read as zero even before anyone wrote the tensor.
void zero_padding_channels(const Tensor& t) {
  const Shape& s = t.shape();
  const std::int64_t block = block_of(t.layout(), s[1]);
  const std::int64_t live = s[1] % block, blocks = ceil_div(s[1], block), hw = s[2] * s[3];
  if (live == 0) return;
  const std::size_t size = size_of(t.dtype());
  char* data = static_cast<char*>(t.data());
  for (std::int64_t n = 0; n < s[0]; ++n) {
    char* last = data + ((n + 1) * blocks - 1) * hw * block * size;
    for (std::int64_t i = 0; i < hw; ++i) {
      std::memset(last + (i * block + live) * size, 0, (block - live) * size);
    }
  }
}

template <class T>
Tensor from_values(std::span<const T> values, const Shape& shape, Dtype dtype) {
  if (static_cast<std::int64_t>(values.size()) != shape.numel()) {
    throw ShapeError(fmt::format("tensor {}: expected {} values, got {}", shape.str(),
                                 shape.numel(), values.size()));
  }
  Tensor t = Tensor::empty(shape, dtype);
  if (!values.empty()) std::memcpy(t.data(), values.data(), values.size_bytes());
  return t;
}

}  // namespace

Shape shape_of(std::span<const std::int64_t> d) {
  switch (d.size()) {
    case 0:
      return {};
    case 1:
      return {d[0]};
    case 2:
      return {d[0], d[1]};
    case 3:
      return {d[0], d[1], d[2]};
    default:
      return {d[0], d[1], d[2], d[3]};
  }
}

Tensor Tensor::empty(const Shape& shape, Dtype dtype, Device device, Layout layout) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.layout_ = layout;
  t.storage_ = std::make_shared<Storage>(t.bytes(), device);
  const bool padded = layout != Layout::plain && layout != Layout::nhwc;
  if (padded && device.kind == DeviceKind::cpu) zero_padding_channels(t);
  return t;
}

Tensor Tensor::zeros(const Shape& shape, Dtype dtype, Device device, Layout layout) {
  Tensor t = empty(shape, dtype, device, layout);
  t.zero();
  return t;
}

Tensor Tensor::activation(const Shape& shape, Dtype dtype, Device device) {
  return empty(shape, dtype, device, layout_of(device, shape));
}

Tensor Tensor::over(std::shared_ptr<Storage> storage, const Shape& shape, Dtype dtype,
                    Layout layout) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.layout_ = layout;
  t.storage_ = std::move(storage);
  if (t.bytes() > t.storage_->bytes()) {
    throw ShapeError(fmt::format("tensor {}: needs {} bytes, the storage has {}", shape.str(),
                                 t.bytes(), t.storage_->bytes()));
  }
  return t;
}

Tensor Tensor::from(std::span<const float> values, const Shape& shape) {
  return from_values(values, shape, Dtype::f32);
}

Tensor Tensor::from(std::span<const std::int32_t> values, const Shape& shape) {
  return from_values(values, shape, Dtype::i32);
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t = empty(shape_, dtype_, device(), layout_);
  t.copy_from(*this);
  return t;
}

void Tensor::zero() const {
  Context& context = Context::current(device());
  context.runtime().zero(context, data(), bytes());
}

std::span<float> Tensor::floats() const {
  if (device().kind != DeviceKind::cpu) {
    throw DeviceError(
        fmt::format("tensor {} on {}: read from the host", shape_.str(), to_string(device())));
  }
  return {as<float>(), static_cast<std::size_t>(storage_numel())};
}

void Tensor::copy_from(const Tensor& other) const {
  if (other.shape_ != shape_ || other.dtype_ != dtype_) {
    throw ShapeError(fmt::format("copy: expected {} {}, got {} {}", shape_.str(), name_of(dtype_),
                                 other.shape_.str(), name_of(other.dtype_)));
  }
  // Only a layout's own device knows it.
  if (other.layout_ != layout_) return copy_from(other.plain().to(device()).to(layout_));
  const Device here = device(), there = other.device();
  const bool out = here.kind == DeviceKind::cpu;
  Context& context = Context::current(out ? there : here);
  const Runtime& runtime = context.runtime();
  if (here == there) {
    runtime.copy(context, data(), other.data(), bytes());
  } else if (out) {
    runtime.copy_out(context, data(), other.data(), bytes());
  } else if (there.kind == DeviceKind::cpu) {
    runtime.copy_in(context, data(), other.data(), bytes());
  } else {
    copy_from(other.to(Device{}));
  }
}

Tensor Tensor::to(Device device) const {
  if (!defined() || device == this->device()) return *this;
  Tensor t = empty(shape_, dtype_, device, layout_);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Layout layout) const {
  if (!defined() || layout == layout_) return *this;
  if (shape_.rank() != 4) {
    throw ShapeError(
        fmt::format("layout {}: expected 4 dims, got {}", name_of(layout), shape_.str()));
  }
  const std::int64_t c = shape_[1], pixels = shape_[2] * shape_[3];
  const auto unpadded = [](Layout l) { return l == Layout::plain || l == Layout::nhwc; };
  if ((c == 1 || pixels == 1) && unpadded(layout) && unpadded(layout_)) {
    Tensor same = *this;
    same.layout_ = layout;
    return same;
  }
  Tensor t = empty(shape_, dtype_, device(), layout);
  const ReorderSpec spec{.dtype = dtype_, .shape = shape_, .from = layout_, .to = layout};
  reorder_kernels.run(&ReorderKernels::apply, device(), spec, data(), t.data());
  return t;
}

Tensor Tensor::cast(Dtype dtype) const {
  if (!defined() || dtype == dtype_) return *this;
  Tensor t = empty(shape_, dtype, device(), layout_);
  const CastSpec spec{.from = dtype_, .to = dtype, .elements = storage_numel()};
  cast_kernels.run(&CastKernels::apply, device(), spec, data(), t.data());
  return t;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  if (shape_.rank() == 0 || begin < 0 || end < begin || end > shape_[0]) {
    throw ShapeError(fmt::format("slice [{}, {}) of {}", begin, end, shape_.str()));
  }
  Tensor t = *this;
  const std::size_t stride = shape_[0] > 0 ? bytes() / shape_[0] : 0;
  std::vector<std::int64_t> dims{end - begin};
  for (int i = 1; i < shape_.rank(); ++i) dims.push_back(shape_[i]);
  t.shape_ = shape_of(dims);
  t.offset_ = offset_ + begin * stride;
  return t;
}

Tensor Tensor::reshape(const Shape& shape) const {
  if (layout_ != Layout::plain || shape.numel() != numel()) {
    throw ShapeError(
        fmt::format("reshape {} {} to {}", shape_.str(), name_of(layout_), shape.str()));
  }
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

float Tensor::item() const {
  if (!defined() || numel() != 1 || dtype_ != Dtype::f32) {
    throw ShapeError(fmt::format("item: expected one f32 element, got {}", shape_.str()));
  }
  return *to(Device{}).as<float>();
}

std::vector<float> Tensor::to_vector() const {
  const Tensor t = plain().to(Device{}).cast(Dtype::f32);
  return {t.as<float>(), t.as<float>() + t.numel()};
}

bool all_finite(const Tensor& given) {
  const Tensor t = given.to(Device{}).cast(Dtype::f32);
  const float* x = t.as<float>();
  const std::int64_t n = t.storage_numel();
  bool finite = true;
#pragma omp parallel for reduction(&& : finite) if (n > 100000)
  for (std::int64_t i = 0; i < n; ++i) finite = finite && std::isfinite(x[i]);
  return finite;
}

}  // namespace hac
