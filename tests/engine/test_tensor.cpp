#include <limits>
#include <numeric>

#include "engine/tensor/tensor.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

std::vector<float> counting(std::int64_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 1.f);
  return values;
}

TEST(Shape, KnowsItsElementsAndText) {
  EXPECT_EQ((Shape{2, 3, 4, 5}).numel(), 120);
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ((Shape{3, 0}).numel(), 0);
  EXPECT_EQ((Shape{128, 64, 3, 3}).str(), "(128, 64, 3, 3)");
  EXPECT_NE((Shape{2, 1}), (Shape{2}));
  EXPECT_THROW((Shape{1, 2, 3, 4, 5}), ShapeError);
  EXPECT_THROW((Shape{2, -1}), ShapeError);
}

TEST(Layout, StorageIsPaddedToTheBlock) {
  EXPECT_EQ(storage_elements(Layout::plain, {2, 17, 3, 5}), 2 * 17 * 15);
  EXPECT_EQ(storage_elements(Layout::blocked16, {2, 17, 3, 5}), 2 * 32 * 15);
  EXPECT_EQ(storage_elements(Layout::blocked8, {2, 17, 3, 5}), 2 * 24 * 15);
  EXPECT_EQ(storage_elements(Layout::nhwc, {2, 17, 3, 5}), 2 * 17 * 15);
  EXPECT_EQ(layout_of({}, {2, 3, 8, 8}), Layout::plain);
  EXPECT_NE(layout_of({}, {2, 4, 8, 8}), Layout::plain);
  EXPECT_EQ(layout_of({}, {2, 64}), Layout::plain);
  EXPECT_EQ(layout_of({DeviceKind::simt, 0}, {2, 4, 8, 8}), Layout::nhwc);
}

// The address of element (n, c, h, w) as the header of kernels/core/types.h defines each layout.
std::int64_t address(Layout layout, const Shape& s, std::int64_t n, std::int64_t c,
                     std::int64_t i) {
  const std::int64_t hw = s[2] * s[3];
  switch (layout) {
    case Layout::plain:
      return (n * s[1] + c) * hw + i;
    case Layout::nhwc:
      return (n * hw + i) * s[1] + c;
    case Layout::blocked4:
      return ((n * ceil_div(s[1], 4) + c / 4) * hw + i) * 4 + c % 4;
    case Layout::blocked8:
      return ((n * ceil_div(s[1], 8) + c / 8) * hw + i) * 8 + c % 8;
    case Layout::blocked16:
      return ((n * ceil_div(s[1], 16) + c / 16) * hw + i) * 16 + c % 16;
  }
  return -1;
}

constexpr Layout layouts[] = {Layout::plain, Layout::blocked4, Layout::blocked8, Layout::blocked16,
                              Layout::nhwc};

void check_layouts(Device device) {
  for (const std::int64_t c : {1, 3, 7, 8, 16, 17, 33}) {
    for (const Shape& shape : {Shape{2, c, 5, 3}, Shape{1, c, 31, 33}, Shape{3, c, 1, 1}}) {
      const std::vector<float> values = counting(shape.numel());
      const Tensor plain = Tensor::from(values, shape).to(device);
      for (const Layout a : layouts) {
        const Tensor there = plain.to(a), first = there.to(Device{});
        for (std::int64_t n = 0, at = 0; n < shape[0]; ++n)
          for (std::int64_t k = 0; k < c; ++k)
            for (std::int64_t i = 0; i < shape[2] * shape[3]; ++i, ++at)
              ASSERT_EQ(first.floats()[address(a, shape, n, k, i)], values[at])
                  << name_of(a) << " " << shape.str() << " at " << at;
        for (const Layout b : layouts) {
          const Tensor second = there.to(b).to(Device{});
          // What is not an element is padding, and padding is zero.
          const std::span<float> stored = second.floats();
          ASSERT_EQ(std::count(stored.begin(), stored.end(), 0.f),
                    static_cast<std::int64_t>(stored.size()) - shape.numel());
          ASSERT_EQ(second.to_vector(), values) << name_of(a) << " to " << name_of(b);
        }
      }
    }
  }
}

TEST(Reorder, EveryPairOfLayoutsKeepsEveryElement) {
  check_layouts({});
  check_layouts({DeviceKind::simt, 0});
}

TEST(Reorder, MovesElementsOfEverySize) {
  const Shape shape{2, 5, 3, 3};
  const Tensor bytes = Tensor::empty(shape, Dtype::u8);
  for (std::int64_t i = 0; i < shape.numel(); ++i) bytes.as<std::uint8_t>()[i] = i + 1;
  const Tensor back = bytes.to(Layout::blocked16).to(Layout::nhwc).plain();
  for (std::int64_t i = 0; i < shape.numel(); ++i) EXPECT_EQ(back.as<std::uint8_t>()[i], i + 1);
  const Tensor halves = Tensor::empty(shape, Dtype::bf16);
  for (std::int64_t i = 0; i < shape.numel(); ++i) halves.as<std::uint16_t>()[i] = 999 * i + 1;
  const Tensor same = halves.to(Layout::blocked8).plain();
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    EXPECT_EQ(same.as<std::uint16_t>()[i], static_cast<std::uint16_t>(999 * i + 1));
}

TEST(Tensor, CopiesShareAndClonesDoNot) {
  const Tensor a = Tensor::from(counting(4), {4});
  const Tensor shared = a, copy = a.clone();
  a.as<float>()[0] = 9;
  EXPECT_EQ(shared.to_vector()[0], 9);
  EXPECT_EQ(copy.to_vector()[0], 1);
  copy.copy_from(a);
  EXPECT_EQ(copy.to_vector()[0], 9);
  EXPECT_THROW(copy.copy_from(Tensor::zeros({5})), ShapeError);
  EXPECT_THROW(copy.copy_from(Tensor::zeros({4}, Dtype::i32)), ShapeError);
}

// Memory is reused, so "zero when it is made" must hold for a block that held something else.
TEST(Tensor, PaddingAndTailAreZeroInReusedMemory) {
  const Shape shape{2, 17, 3, 3};
  for (int round = 0; round < 2; ++round) {
    const Tensor t = Tensor::empty(shape, Dtype::f32, {}, Layout::blocked16);
    for (std::int64_t n = 0; n < 2; ++n)
      for (std::int64_t c = 17; c < 32; ++c)
        for (std::int64_t i = 0; i < 9; ++i)
          ASSERT_EQ(t.floats()[((n * 2 + c / 16) * 9 + i) * 16 + c % 16], 0.f);
    const Tensor vector = Tensor::empty({17});
    for (int i = 17; i < 32; ++i) ASSERT_EQ(vector.as<float>()[i], 0.f) << "tail at " << i;
    for (float& v : t.floats()) v = 7;
    for (int i = 0; i < 32; ++i) vector.as<float>()[i] = 7;
  }
}

TEST(Tensor, SliceSharesTheImagesOfABatch) {
  for (const Layout layout : layouts) {
    const Shape shape{4, 5, 2, 3};
    const Tensor batch = Tensor::from(counting(shape.numel()), shape).to(layout);
    const Tensor middle = batch.slice(1, 3);
    EXPECT_EQ(middle.shape(), (Shape{2, 5, 2, 3}));
    const std::vector<float> all = batch.to_vector();
    EXPECT_EQ(middle.to_vector(), std::vector<float>(all.begin() + 30, all.begin() + 90));
    middle.zero();
    EXPECT_EQ(batch.to_vector()[30], 0);
    EXPECT_EQ(batch.to_vector()[29], 30);
    EXPECT_EQ(batch.to_vector()[90], 91);
    EXPECT_EQ(batch.slice(2, 2).numel(), 0);
    EXPECT_THROW(batch.slice(-1, 2), ShapeError);
    EXPECT_THROW(batch.slice(3, 2), ShapeError);
    EXPECT_THROW(batch.slice(0, 5), ShapeError);
  }
}

TEST(Tensor, ReshapeKeepsTheBytesOfPlainTensorsOnly) {
  const Tensor t = Tensor::from(counting(24), {2, 4, 1, 3});
  EXPECT_EQ(t.reshape({2, 12}).to_vector(), t.to_vector());
  EXPECT_EQ(t.reshape({24}).data(), t.data());
  EXPECT_THROW(t.reshape({25}), ShapeError);
  EXPECT_THROW(t.to(Layout::blocked16).reshape({2, 12}), ShapeError);
}

TEST(Tensor, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Tensor::from(counting(3), {4}), ShapeError);
  EXPECT_THROW(Tensor::zeros({2}).item(), ShapeError);
  EXPECT_THROW(Tensor::zeros({2, 3}).to(Layout::blocked16), ShapeError);
  EXPECT_EQ(Tensor::from(counting(1), {}).item(), 1.f);
}

TEST(Tensor, AllFiniteSeesTheLastElement) {
  const Tensor t = Tensor::zeros({200001});
  EXPECT_TRUE(all_finite(t));
  t.as<float>()[200000] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(all_finite(t));
  t.as<float>()[200000] = -std::numeric_limits<float>::infinity();
  EXPECT_FALSE(all_finite(t));
}

TEST(Memory, CountsWhatIsInUse) {
  const std::size_t before = memory_stats().in_use;
  {
    const Tensor t = Tensor::zeros({1000});
    EXPECT_GE(memory_stats().in_use, before + 4000);
    EXPECT_GE(memory_stats().peak, memory_stats().in_use);
    const Tensor shared = t;
    EXPECT_LT(memory_stats().in_use, before + 8000);
  }
  EXPECT_EQ(memory_stats().in_use, before);
  release_cached_memory();
  EXPECT_EQ(memory_stats().cached, 0u);
}

TEST(Memory, ReusesFreedBlocks) {
  release_cached_memory();
  const void* first = Tensor::zeros({12345}).data();
  EXPECT_GT(memory_stats().cached, 0u);
  EXPECT_EQ(Tensor::zeros({12345}).data(), first);
}

TEST(Memory, BlocksOfManySizesDoNotPileUp) {
  constexpr std::int64_t largest = 4'000'000;
  for (std::int64_t n = 1'000'000; n <= largest; n += 100'000) Tensor::empty({n});
  EXPECT_LE(memory_stats().cached, 2 * largest * sizeof(float));
}

TEST(Memory, ALimitIsAnOutOfMemoryThatSaysWhy) {
  set_memory_limit(memory_stats().in_use + (1 << 20));
  EXPECT_NO_THROW(Tensor::zeros({1000}));
  try {
    Tensor::zeros({1 << 20});
    ADD_FAILURE() << "went over the limit";
  } catch (const OutOfMemory& error) {
    EXPECT_CONTAINS(error.what(), "limit");
    EXPECT_EQ(error.exit_code(), 3);
  }
  set_memory_limit(0);
  EXPECT_NO_THROW(Tensor::zeros({1 << 20}));
}

TEST(Memory, FailsOnRequestOnce) {
  fail_allocation_after(2);
  EXPECT_NO_THROW(Tensor::zeros({8}));
  EXPECT_THROW(Tensor::zeros({8}), OutOfMemory);
  EXPECT_NO_THROW(Tensor::zeros({8}));
  fail_allocation_after(1);
  fail_allocation_after(0);
  EXPECT_NO_THROW(Tensor::zeros({8}));
}

TEST(Memory, StoragesAreAligned) {
  for (const std::int64_t n : {1, 3, 100, 1 << 20, (1 << 20) + 1})
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Tensor::empty({n}).data()) % 64, 0u);
}

}  // namespace
}  // namespace hac
