// A device that is lost in the middle of a training: one clear error, a whole checkpoint, and a run
// that goes on to the same bits when the device is back.

#include <CLI/CLI.hpp>

#include "engine/device/capture.h"
#include "engine/io/file.h"
#include "engine/io/safetensors.h"
#include "kernels/ops/elementwise.h"
#include "kernels/simt/executor.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"
#include "tools/cli/commands.h"

namespace hac {
namespace {

// Three steps an epoch, the last one smaller.
TrainConfig config_in(const std::string& out, LaunchMode launch) {
  TrainConfig config = tiny_config(10, 4);
  config.epochs = 3;
  config.out = out;
  config.launch = launch;
  return config;
}

void train_on_simt(const TrainConfig& config) {
  Model model(tiny_net(), 1, kSimt);
  train(model, open_data(config.data), config);
}

// The device back for the rest of the test, whatever happens.
struct Mended {
  ~Mended() { simt::fail_launch_after(0); }
};

// The error of a training that loses the device at its n-th launch; "" if it ends before.
std::string error_when_lost_at(int n, const TrainConfig& config) {
  const Mended mended;
  const DataSplit data = open_data(config.data);
  Model model(tiny_net(), 1, kSimt);
  simt::fail_launch_after(n);
  try {
    train(model, data, config);
  } catch (const OutOfMemory& error) {
    ADD_FAILURE() << "taken for out of memory: " << error.what();
  } catch (const DeviceError& error) {
    EXPECT_EQ(error.exit_code(), 3);
    return error.what();
  }
  return "";
}

int launches_of(const TrainConfig& config) {
  int low = 0, high = 1 << 14;  // the run survives a loss at `high`
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (error_when_lost_at(middle, config).empty() ? high : low) = middle;
  }
  return high;
}

class DeviceLoss : public ::testing::TestWithParam<LaunchMode> {};

// Loses it at some thirty places from the first launch to the last, steps, evaluations and
// checkpoints among them.
TEST_P(DeviceLoss, LeavesACheckpointFromWhichTheRunEndsInTheSameBits) {
  const TempFolder whole;
  const TrainConfig undisturbed = config_in(whole.file("run"), GetParam());
  train_on_simt(undisturbed);
  const std::string expected = read_file(whole.file("run/last.safetensors"));

  const int launches = launches_of(config_in("", GetParam()));
  ASSERT_GT(launches, 100);
  int resumed = 0;
  for (int n = 1; n < launches; n += launches / 30 + 1) {
    const TempFolder folder;
    TrainConfig config = config_in(folder.file("run"), GetParam());
    const std::string last = config.out + "/last.safetensors";
    const std::string message = error_when_lost_at(n, config);
    EXPECT_CONTAINS(message, "lost") << n;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
      EXPECT_LACKS(entry.path().string(), ".tmp") << entry.path();
    }
    config.resume = true;
    if (std::filesystem::exists(last)) {
      EXPECT_NO_THROW(load_safetensors(last)) << n;
      EXPECT_CONTAINS(message, "can be resumed from '" + last + "' (hint: --resume)");
      ++resumed;
    } else {
      EXPECT_LACKS(message, "--resume");
    }
    train_on_simt(config);
    EXPECT_EQ(read_file(last) == expected, true) << "lost at launch " << n;
  }
  EXPECT_GT(resumed, 10);
}

INSTANTIATE_TEST_SUITE_P(Launch, DeviceLoss,
                         ::testing::Values(LaunchMode::eager, LaunchMode::graph),
                         [](const auto& info) { return to_string(info.param); });

TEST(LostDevice, RefusesEverythingButToReleaseMemory) {
  const Mended mended;
  Context& context = Context::current(kSimt);
  const Runtime& runtime = context.runtime();
  Tensor x = Tensor::zeros({4}, Dtype::f32, kSimt);
  Capture capture(kSimt);
  const auto work = [&] { x.zero(); };
  capture.warm_up(work);
  capture.record(work);
  Event event = runtime.event_record(context);
  simt::fail_launch_after(2);
  EXPECT_NO_THROW(x.zero());
  EXPECT_THROW(x.zero(), DeviceError);
  EXPECT_THROW(x.zero(), DeviceError) << "it came back by itself";
  EXPECT_THROW(x.to_vector(), DeviceError);
  EXPECT_THROW(capture.replay(), DeviceError);
  EXPECT_THROW(runtime.synchronize(context), DeviceError);
  EXPECT_THROW(runtime.event_record(context), DeviceError);
  EXPECT_THROW(context.scratch(context.scratch_bytes() + 1), DeviceError);
  try {
    Tensor::empty({4}, Dtype::f32, kSimt);
    ADD_FAILURE() << "memory of a lost device";
  } catch (const OutOfMemory& error) {
    ADD_FAILURE() << "taken for out of memory: " << error.what();
  } catch (const DeviceError&) {
  }
  // Destructors of what lived on it run at the end of this scope and must not throw.
  x = Tensor();
  event.reset();
}

TEST(LostDevice, IsNotTheOtherOne) {
  const Mended mended;
  const Device other{DeviceKind::simt, 1};
  const Tensor here = Tensor::zeros({4}, Dtype::f32, kSimt);
  const Tensor there = Tensor::zeros({4}, Dtype::f32, other);
  simt::fail_launch_after(1);
  EXPECT_THROW(here.zero(), DeviceError);
  EXPECT_NO_THROW(there.zero());
  simt::fail_launch_after(0);
  simt::fail_launch_after(1, 1);
  EXPECT_ERROR(there.zero(), DeviceError, "simt:1: the device is lost");
  EXPECT_NO_THROW(here.zero());
  simt::fail_launch_after(0, 1);
}

TEST(LostDevice, AnErrorInAKernelNamesSpecAndDevice) {
  const Mended mended;
  const ActivationSpec spec{.shape = {4}};
  const Tensor x = Tensor::zeros({4}, Dtype::f32, kSimt);
  simt::fail_launch_after(1);
  const std::string message = error_of<DeviceError>([&] {
    activation_kernels.run(&ActivationKernels::forward, kSimt, spec, x.data(), x.data());
  });
  EXPECT_TRUE(message.starts_with(spec.str() + " on simt: ")) << message;
}

TEST(Hint, ReplacesTheOneAtTheEndOnly) {
  EXPECT_EQ(with_hint("a: no b", "c"), "a: no b (hint: c)");
  EXPECT_EQ(with_hint("a: no b (hint: d)", "c"), "a: no b (hint: c)");
  EXPECT_EQ(with_hint("a (hint: d); go on", "c"), "a (hint: d); go on (hint: c)");
  EXPECT_EQ(with_hint("a (hint: d); go on (hint: e)", "c"), "a (hint: d); go on (hint: c)");
}

// The command line adds the very words to type.
TEST(LostDevice, TrainSaysHowToResume) {
  const Mended mended;
  const TempFolder folder;
  save_architecture(tiny_net(), folder.file("tiny.json"));
  const std::string command = "hacscale train ...";
  const auto lost_at = [&](int n) -> std::string {
    CLI::App app;
    add_train(app, command);
    const std::string line =
        "train " + folder.file("tiny.json") +
        " --data synthetic --data-resolution 16 --limit-train 10 --limit-test "
        "10 --classes 4 --batch 4 --epochs 3 --device simt --quiet --overwrite "
        "--out " +
        folder.file("run");
    simt::fail_launch_after(n);
    try {
      app.parse(line);
    } catch (const DeviceError& error) {
      return error.what();
    }
    return "";
  };
  const std::string early = lost_at(20);
  EXPECT_CONTAINS(early, "lost");
  EXPECT_LACKS(early, "resume");
  EXPECT_CONTAINS(lost_at(320), "(hint: resume with: hacscale train ... --resume)");
}

}  // namespace
}  // namespace hac
