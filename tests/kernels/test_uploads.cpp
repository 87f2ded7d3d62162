// Copies beside a context's work: what they are ordered by, and what refuses them.

#include <algorithm>
#include <cstring>
#include <thread>

#include "engine/device/capture.h"
#include "engine/tensor/tensor.h"
#include "kernels/core/context.h"
#include "tests/support/messages.h"
#include "tests/support/places.h"

namespace hac {
namespace {

class Uploads : public testing::TestWithParam<Device> {
 protected:
  static constexpr std::int64_t bytes = 1 << 20;

  const Device device = GetParam();
  Context& context = Context::current(device);
  const Runtime& runtime = context.runtime();
  Context copies{device};
  std::shared_ptr<void> pinned = allocate_pinned(device, bytes);
  const Tensor there = Tensor::zeros({bytes}, Dtype::u8, device);

  void fill(int value) { std::memset(pinned.get(), value, bytes); }
  // Of all bytes, as the context finds them; -1 if they are not the same.
  int found() const {
    const Tensor host = there.to(Device{});
    const auto* const first = host.as<std::uint8_t>();
    return std::count(first, first + bytes, *first) == bytes ? *first : -1;
  }
};

TEST_P(Uploads, AreThereForWhoWaits) {
  for (int value = 1; value < 5; ++value) {
    fill(value);
    runtime.wait(copies, runtime.event_record(context));
    runtime.upload(copies, there.data(), pinned.get(), bytes);
    const Event uploaded = runtime.event_record(copies);
    runtime.wait(context, uploaded);
    EXPECT_EQ(found(), value);
    runtime.wait_on_host(uploaded);
  }
}

// A half that was waited for on the host may be written again.
TEST_P(Uploads, HaveReadTheHostsMemoryOnceTheHostHasWaited) {
  fill(1);
  runtime.wait(copies, runtime.event_record(context));
  runtime.upload(copies, there.data(), pinned.get(), bytes);
  const Event uploaded = runtime.event_record(copies);
  runtime.wait_on_host(uploaded);
  fill(2);
  runtime.wait(context, uploaded);
  EXPECT_EQ(found(), 1);
}

// As it was at the call, whatever the device does to it meanwhile; by a thread without a context.
TEST_P(Uploads, DownloadsAreThereOnceAnyThreadHasWaited) {
  for (int value = 1; value < 5; ++value) {
    fill(value);
    runtime.copy_in(context, there.data(), pinned.get(), bytes);
    fill(0);
    runtime.download(context, pinned.get(), there.data(), bytes);
    const Event downloaded = runtime.event_record(context);
    there.zero();
    std::thread([&] {
      runtime.make_current(device);
      runtime.wait_on_host(downloaded);
      const auto* const first = static_cast<const std::uint8_t*>(pinned.get());
      EXPECT_EQ(std::count(first, first + bytes, value), bytes) << value;
    }).join();
    EXPECT_EQ(found(), 0);
  }
}

TEST_P(Uploads, CannotBeRecorded) {
  Capture capture(device);
  const Event event = runtime.event_record(copies);
  const auto refused = [&](const auto& call, const std::string& name) {
    EXPECT_ERROR(capture.record(call), DeviceError, "expected only work of the device", name);
  };
  refused([&] { runtime.upload(copies, there.data(), pinned.get(), bytes); }, "upload");
  refused([&] { runtime.download(copies, pinned.get(), there.data(), bytes); }, "download");
  refused([&] { runtime.wait(context, event); }, "wait");
  refused([&] { runtime.wait_on_host(event); }, "wait_on_host");
  refused([&] { allocate_pinned(device, 16); }, "an allocation of 16 bytes");
}

std::vector<Device> recording_devices() {
  std::vector<Device> all{{DeviceKind::simt, 0}};
  if (gpu_present()) all.push_back({DeviceKind::cuda, 0});
  return all;
}
INSTANTIATE_TEST_SUITE_P(Devices, Uploads, testing::ValuesIn(recording_devices()),
                         [](const auto& info) {
                           return std::string(info.param.kind == DeviceKind::simt ? "simt"
                                                                                  : "cuda");
                         });

// As late as the program allows: whoever forgets to wait finds what was there before.
TEST(SimtUploads, AreNotThereForWhoDoesNotWait) {
  const Device simt{DeviceKind::simt, 0};
  Context& context = Context::current(simt);
  const Runtime& runtime = context.runtime();
  Context copies(simt);
  const auto pinned = allocate_pinned(simt, 4);
  const Tensor there = Tensor::zeros({4}, Dtype::u8, simt);
  const auto first = [&] { return *there.to(Device{}).as<std::uint8_t>(); };
  std::memset(pinned.get(), 1, 4);
  runtime.upload(copies, there.data(), pinned.get(), 4);
  EXPECT_EQ(first(), 0) << "nobody waited";
  std::memset(pinned.get(), 2, 4);
  runtime.synchronize(copies);
  EXPECT_EQ(first(), 2) << "written before the upload was done";
  runtime.upload(copies, static_cast<char*>(there.data()) + 1, pinned.get(), 4);
  EXPECT_ERROR(runtime.synchronize(copies), DeviceError, "upload: expected 4 bytes");
  EXPECT_ERROR(runtime.upload(context, pinned.get(), pinned.get(), 4);
               runtime.synchronize(context), DeviceError, "upload: expected 4 bytes");
}

TEST(SimtDownloads, AreNotThereForWhoDoesNotWait) {
  const Device simt{DeviceKind::simt, 0};
  Context& context = Context::current(simt);
  const Runtime& runtime = context.runtime();
  const auto pinned = allocate_pinned(simt, 4);
  const auto first = [&] { return *static_cast<const std::uint8_t*>(pinned.get()); };
  const Tensor there = Tensor::zeros({4}, Dtype::u8, simt);
  std::memset(pinned.get(), 1, 4);
  runtime.download(context, pinned.get(), there.data(), 4);
  const Event downloaded = runtime.event_record(context);
  EXPECT_EQ(first(), 1) << "nobody waited";
  runtime.wait_on_host(downloaded);
  EXPECT_EQ(first(), 0);
}

// Who waits must not take what the memory holds for what the device had.
TEST(SimtDownloads, OfALostDeviceAreAnErrorForAllWhoWait) {
  const Device simt{DeviceKind::simt, 0};
  Context& context = Context::current(simt);
  const Runtime& runtime = context.runtime();
  const auto pinned = allocate_pinned(simt, 4);
  const Tensor there = Tensor::zeros({4}, Dtype::u8, simt);
  runtime.download(context, pinned.get(), there.data(), 4);
  const Event downloaded = runtime.event_record(context);
  Context other(simt);
  simt::fail_launch_after(1);
  EXPECT_THROW(runtime.zero(other, there.data(), 4), DeviceError);
  for (int i = 0; i < 2; ++i) {
    EXPECT_ERROR(runtime.wait_on_host(downloaded), DeviceError, "lost");
  }
  simt::fail_launch_after(0);
  EXPECT_ERROR(runtime.wait_on_host(downloaded), DeviceError, "lost");
  EXPECT_NO_THROW(there.zero()) << "who waited was told";
  std::memset(pinned.get(), 1, 4);
  runtime.download(context, pinned.get(), there.data(), 4);
  simt::fail_launch_after(1);
  EXPECT_THROW(runtime.download(context, pinned.get(), there.data(), 4), DeviceError);
  simt::fail_launch_after(0);
  there.zero();
  EXPECT_EQ(*static_cast<const std::uint8_t*>(pinned.get()), 1) << "a lost device went on";
  runtime.download(context, pinned.get(), pinned.get(), 4);
  EXPECT_ERROR(runtime.wait_on_host(runtime.event_record(context)), DeviceError,
               "download: expected 4 bytes");
}

}  // namespace
}  // namespace hac
