// A training that is killed again and again, each time while it writes.

#include <random>

#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

class Killed : public Cli {
 protected:
  static bool writing(const std::string& out) {
    std::error_code gone;
    for (fs::directory_iterator it(out, gone), end; !gone && it != end; it.increment(gone)) {
      if (it->path().filename().string().find(".safetensors.tmp-") != std::string::npos)
        return true;
    }
    return false;
  }
};

// A megabyte a checkpoint, at every step: most of the time one is being written.
TEST_F(Killed, WhileItWritesItEndsInTheSameBytes) {
  const Words training =
      "train vgg11 --width 0.25 --threads 1 --data synthetic --limit-train 128 --limit-test 32 "
      "--batch 16 --epochs 4 --seed 3 --validation 32 --log csv --checkpoint-seconds 0 --quiet";
  succeed(training + " --out whole");
  std::mt19937 random(5);
  int within = 0, kills = 0;
  for (; kills < 8; ++kills) {
    Program program(training + " --out r" +
                    (fs::exists("r/last.safetensors") ? "--resume" : "--overwrite"));
    // Of its own first writes one, however fast the machine is.
    const auto writes = [] { return writing("r"); };
    if (!program.wait_until(writes)) break;  // it was done
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(random() % 60);
    if (!program.wait_until([&] { return std::chrono::steady_clock::now() > end && writes(); })) {
      break;
    }
    program.send(SIGKILL);
    ASSERT_EQ(program.wait().signal, SIGKILL);
    within += writing("r");
    if (!fs::exists("r/last.safetensors")) continue;
    EXPECT_GT(json_of("eval r/last.safetensors")["images"], 0);
  }
  EXPECT_GT(kills, 3);
  EXPECT_GT(within, 0) << "no kill fell into a write";
  succeed(training + " --out r --resume");
  for (const std::string name : {"/last.safetensors", "/model.safetensors"}) {
    EXPECT_TRUE(slurp("r" + name) == slurp("whole" + name)) << name << " differs";
  }
  for (const std::string name : {"/log.jsonl", "/log.csv"}) {
    EXPECT_EQ(lines_of("r" + name).size(), lines_of("whole" + name).size()) << name;
  }
  EXPECT_FALSE(writing("r")) << "what the killed ones left";
}

// One that is killed between the two could neither be resumed nor begun again.
TEST_F(Killed, TheFirstLineOfTheLogFollowsACheckpoint) {
  Program program(
      "train vgg11 --width 0.5 --threads 1 --data synthetic --limit-train 16 --limit-test 10 "
      "--batch 16 --epochs 1 --quiet --out r");
  ASSERT_TRUE(program.wait_until([] { return !lines_of("r/log.jsonl").empty(); }));
  EXPECT_TRUE(fs::exists("r/last.safetensors"));
  EXPECT_EQ(program.wait().exit, 0);
}

}  // namespace
}  // namespace hac
