// One process a folder: the lock itself, and what a second hacscale says.

#include "models/train/folder_lock.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/data_fixtures.h"
#include "tests/support/run_program.h"

namespace hac {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::Outcome;
using testing::Program;
using testing::Words;
using testing::operator+;

TEST(FolderLock, SecondIsRefusedUntilTheFirstIsGone) {
  const TempFolder folder;
  const std::string path = folder.file("run");
  EXPECT_NO_THROW(require_free(path)) << "a folder that is not there";
  fs::create_directory(path);
  {
    const FolderLock first(path);
    for (const std::string& message : {error_of<IoError>([&] { FolderLock second(path); }),
                                       error_of<IoError>([&] { require_free(path); })}) {
      EXPECT_CONTAINS(message, "'" + path + "'");
      EXPECT_CONTAINS(message, "process " + std::to_string(::getpid()));
    }
    fs::create_directory(folder.file("other"));
    EXPECT_NO_THROW(FolderLock(folder.file("other")));
  }
  EXPECT_TRUE(fs::is_empty(path)) << "the lock file is left";
  EXPECT_NO_THROW(FolderLock{path});
}

TEST(FolderLock, ADeadProcessHoldsNothing) {
  const TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    new FolderLock(folder.path());  // never deleted
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(folder.file(".lock"))) << "the child did not get that far";
  EXPECT_NO_THROW(require_free(folder.path()));
  EXPECT_NO_THROW(FolderLock(folder.path()));
}

class CliLock : public ::testing::Test {
 protected:
  // Of a process that is to run beside another, which writes its outputs elsewhere.
  Outcome run(const Words& arguments) const { return Program(beside_.path(), arguments).wait(); }

  void expect_refused(const Words& arguments, const std::string& out, pid_t holder) const {
    const Outcome o = run(arguments);
    EXPECT_EQ(o.exit, 1) << o.err;
    EXPECT_TRUE(o.one_line_error()) << o.out << o.err;
    EXPECT_CONTAINS(o.err, "'" + out + "'");
    EXPECT_CONTAINS(o.err, "process " + std::to_string(holder));
  }

  TempFolder folder_, beside_;
};

TEST_F(CliLock, TwoTrainingsInOneFolder) {
  const std::string out = folder_.file("r");
  const Words train = {"train",  "vgg11",         "--width", "0.125",        "--threads", "1",
                       "--data", "synthetic",     "--batch", "16",           "--quiet",   "--out",
                       out,      "--limit-train", "160",     "--limit-test", "100"};
  Program first(folder_.path(), train + Words{"--epochs", "5000"});
  ASSERT_TRUE(first.wait_until([&] { return fs::exists(out + "/last.safetensors"); }));
  for (const Words& how : {Words{}, Words{"--resume"}, Words{"--overwrite"}}) {
    expect_refused(train + Words{"--epochs", "1"} + how, out, first.pid());
  }
  first.send(SIGKILL);
  EXPECT_EQ(first.wait().signal, SIGKILL);
  const Outcome after = run(train + Words{"--epochs", "1", "--overwrite"});
  EXPECT_EQ(after.exit, 0) << after.err;
  EXPECT_FALSE(fs::exists(out + "/.lock"));
}

TEST_F(CliLock, ALockIsNoTraining) {
  folder_.write("r/.lock", "1\n");
  const Outcome o = run({"train", "vgg11", "--width", "0.125", "--threads", "1", "--data",
                         "synthetic", "--max-steps", "0", "--quiet", "--out", folder_.file("r")});
  EXPECT_EQ(o.exit, 0) << o.err;
}

TEST_F(CliLock, TwoRunsInOneFolder) {
  folder_.write("r.toml", "[arch]\nwidth = 0.125\n[train.data]\nname = \"synthetic\"\n");
  const std::string out = folder_.file("out");
  const Words command = {"run", folder_.file("r.toml"), "--quiet", "--threads", "1", "--out", out};
  Program first(folder_.path(), command);
  ASSERT_TRUE(first.wait_until([&] { return fs::exists(out + "/stages"); }));
  expect_refused(command, out, first.pid());
  first.send(SIGKILL);
  EXPECT_EQ(first.wait().signal, SIGKILL);
  EXPECT_NO_THROW(require_free(out));
}

}  // namespace
}  // namespace hac
