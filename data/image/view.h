#pragma once
// An image and the geometry that transforms have asked for: pixels move once, when it is rendered,
// however many transforms there are.
//
// Two things are pending at most. The image is resized, and a window of that is kept; then a second
// window is laid over what is kept, black where it reaches beyond, and perhaps mirrored. A
// transform that does not fit this form has what is pending done first.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "data/image/sample.h"

namespace hac {

class View {
 public:
  // Throws ShapeError for an image without pixels. Its bytes are not looked at before resample().
  explicit View(Sample image);

  std::int64_t height() const { return y_.size; }
  std::int64_t width() const { return x_.size; }

  // Bilinear, antialiased (data/image/resize.h). Throws ConfigError for a side below 1.
  void resize(std::int64_t height, std::int64_t width);
  // Pixel (y, x) is from here on what (y + top, x + left) was, black where that lies outside.
  void window(std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width);
  void mirror() { mirrored_ = !mirrored_; }  // left and right
  // What is pending done, for a transform that changes pixels; it keeps their shape.
  Sample& pixels();
  // These pixels become the mean of the set: 0 once normalised, black in bytes. Comes last: nothing
  // moves a box. Where it lies outside it is cut.
  void erase(const Box& box) { erased_.push_back(box); }

  // Resizes, so that only whole pixels are left to move. Grey becomes RGB by repetition, RGB
  // becomes grey by ITU-R 601 luma. Throws ShapeError for other numbers of channels, and for an
  // image whose bytes are not those of its shape.
  void resample(std::int64_t channels);
  Sample render(std::int64_t channels);

  // Once resampled: value(pixel) of the plane `channel`, value(0) where it is black.
  template <class T, class Value>
  void write(std::int64_t channel, Value value, T* out) const;
  // Of a plane that write() has filled: the erased pixels are 0.
  template <class T>
  void write_erased(T* out) const;

  // The pending move of whole pixels: rows and columns counted in what is kept.
  std::int64_t top() const { return y_.offset; }
  std::int64_t left() const { return x_.offset; }
  bool mirrored() const { return mirrored_; }

 private:
  struct Axis {
    std::int64_t scaled;        // the image's pixels become this many,
    std::int64_t first, count;  // of which these are kept
    std::int64_t offset, size;  // the window, in what is kept
    explicit Axis(std::int64_t n) : scaled(n), first(0), count(n), offset(0), size(n) {}
    bool moved() const { return offset != 0 || size != count; }
    bool hides() const { return offset > 0 || offset + size < count; }
    bool reaches_out(std::int64_t from, std::int64_t n) const {
      return from < 0 || from + n > size;
    }
    void window(std::int64_t from, std::int64_t n);
  };
  void apply_pending();

  Sample image_;
  Axis y_, x_;
  bool mirrored_ = false;
  std::vector<Box> erased_;
};

template <class T>
void View::write_erased(T* out) const {
  for (const Box& b : erased_) {
    const std::int64_t left = std::max<std::int64_t>(b.left, 0),
                       right = std::min(b.left + b.width, width());
    for (std::int64_t y = std::max<std::int64_t>(b.top, 0);
         y < std::min(b.top + b.height, height()); ++y) {
      for (std::int64_t x = left; x < right; ++x) out[y * width() + x] = 0;
    }
  }
}

template <class T, class Value>
void View::write(std::int64_t channel, Value value, T* out) const {
  const T black = value(0);
  const std::int64_t width = x_.size;
  const auto clamp = [width](std::int64_t x) { return x < 0 ? 0 : x > width ? width : x; };
  const std::int64_t lo = clamp(-x_.offset), hi = clamp(x_.count - x_.offset);
  const std::uint8_t* plane =
      image_.pixels.data() + (channel * image_.height + y_.first) * image_.width + x_.first;
  const auto fill = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t x = from; x < to; ++x) out[x] = black;
  };
  for (std::int64_t y = 0; y < y_.size; ++y, out += width) {
    const std::int64_t source = y + y_.offset;
    if (source < 0 || source >= y_.count || lo >= hi) {
      fill(0, width);
      continue;
    }
    const std::uint8_t* row = plane + source * image_.width + x_.offset;
    if (mirrored_) {
      fill(0, width - hi);
      fill(width - lo, width);
      const std::uint8_t* last = row + hi - 1;
      for (std::int64_t x = 0; x < hi - lo; ++x) out[width - hi + x] = value(last[-x]);
    } else {
      fill(0, lo);
      fill(hi, width);
      for (std::int64_t x = lo; x < hi; ++x) out[x] = value(row[x]);
    }
  }
}

}  // namespace hac
