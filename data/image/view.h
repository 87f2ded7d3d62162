#pragma once
// An image and what transforms have asked for: pixels move once, when it is rendered, however many
// transforms there are, or on a device that is told what is pending (data/loader/staging.h).
//
// Pending are at most: the image, or a window of it, is resized, and a part of that is kept; a
// second window is laid over what is kept, black where it reaches beyond, and perhaps mirrored;
// then its colours are adjusted; then boxes are erased. A transform that does not fit this form has
// what is pending done first.

#include <algorithm>
#include <cstdint>
#include <variant>
#include <vector>

#include "data/image/resize.h"
#include "data/image/sample.h"
#include "kernels/core/color.h"

namespace hac {

class View {
 public:
  // Throws ShapeError for an image without pixels. Its bytes are not looked at before resample().
  explicit View(Sample image);
  // A window of an image, resized.
  View(SampleView image, const Window& window, std::int64_t height, std::int64_t width);

  std::int64_t height() const { return y_.size; }
  std::int64_t width() const { return x_.size; }

  // Bilinear, antialiased (data/image/resize.h). Throws ConfigError for a side below 1.
  void resize(std::int64_t height, std::int64_t width);
  // Pixel (y, x) is from here on what (y + top, x + left) was, black where that lies outside.
  void window(std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width);
  void mirror() { mirrored_ = !mirrored_; }  // left and right
  // data/image/color.h
  void adjust(Adjustment what, double factor);
  // What is pending done, for a transform that changes pixels; it keeps their shape.
  Sample& pixels();
  // These pixels become the mean of the set: 0 once normalised, black in bytes. Comes last: nothing
  // moves a box. Where it lies outside it is cut.
  void erase(const Box& box) { erased_.push_back(box); }

  // Resizes, so that only whole pixels are left to move, of their last colours. Grey becomes RGB by
  // repetition, RGB becomes grey by ITU-R 601 luma. Throws ShapeError for other numbers of
  // channels, and for an image whose bytes are not those of its shape.
  void resample(std::int64_t channels);
  // The same and moves them: nothing but boxes are pending.
  void settle(std::int64_t channels);
  Sample render(std::int64_t channels);

  // Once resampled: value(pixel) of the plane `channel`, value(0) where it is black.
  template <class T, class Value>
  void write(std::int64_t channel, Value value, T* out) const;
  // Of a plane that write() has filled: the erased pixels are 0.
  template <class T>
  void write_erased(T* out) const;

  // ---- What is pending ----

  // Rows or columns: pixel i of the window is pixel i + offset of the `count` that are kept.
  struct Axis {
    std::int64_t in;            // pixels of the image
    double begin, length;       // of which these
    std::int64_t scaled;        // become this many,
    std::int64_t first, count;  // of which these are kept
    std::int64_t offset, size;  // the window, in what is kept
    explicit Axis(std::int64_t n)
        : in(n),
          begin(0),
          length(static_cast<double>(n)),
          scaled(n),
          first(0),
          count(n),
          offset(0),
          size(n) {}
    bool resized() const { return begin != 0 || length != static_cast<double>(scaled); }
    ResizeAxis resize() const { return window_axis(in, begin, length, scaled, first, count); }
  };
  SampleView image() const;  // as long as the view is not changed
  const Axis& rows() const { return y_; }
  const Axis& columns() const { return x_; }
  bool resized() const { return y_.resized() || x_.resized(); }
  bool mirrored() const { return mirrored_; }
  const std::vector<ColorStep>& colors() const { return colors_; }
  const std::vector<Box>& erased() const { return erased_; }

 private:
  void finish() { *this = View(render(image().channels)); }

  std::variant<Sample, SampleView> image_;
  Axis y_, x_;
  bool mirrored_ = false;
  std::vector<ColorStep> colors_;
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
  const SampleView image = this->image();
  const std::int64_t width = x_.size;
  const auto clamp = [width](std::int64_t x) { return x < 0 ? 0 : x > width ? width : x; };
  const std::int64_t lo = clamp(-x_.offset), hi = clamp(x_.count - x_.offset);
  const std::uint8_t* plane =
      image.pixels.data() + (channel * image.height + y_.first) * image.width + x_.first;
  const auto fill = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t x = from; x < to; ++x) out[x] = black;
  };
  for (std::int64_t y = 0; y < y_.size; ++y, out += width) {
    const std::int64_t source = y + y_.offset;
    if (source < 0 || source >= y_.count || lo >= hi) {
      fill(0, width);
      continue;
    }
    const std::uint8_t* row = plane + source * image.width + x_.offset;
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
