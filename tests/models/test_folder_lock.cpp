// One process a folder: the lock itself, and what a second hacscale says.

#include "models/train/folder_lock.h"

#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

TEST(FolderLock, SecondIsRefusedUntilTheFirstIsGone) {
  const TempFolder folder;
  const std::string path = folder.file("run");
  EXPECT_NO_THROW(require_free(path)) << "a folder that is not there";
  fs::create_directory(path);
  {
    const FolderLock first(path);
    for (const std::string& message : {error_of<IoError>([&] { FolderLock second(path); }),
                                       error_of<IoError>([&] { require_free(path); })}) {
      EXPECT_CONTAINS(message, "'" + path + "'", "process " + std::to_string(::getpid()));
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

class CliLock : public Cli {
 protected:
  // By a process beside another, which writes its outputs elsewhere.
  static Outcome run_beside(const Words& arguments) {
    return run(arguments, {.stdout_path = "beside.out", .stderr_path = "beside.err"});
  }
  static void expect_refused(const Words& arguments, pid_t holder) {
    const Outcome o = run_beside(arguments);
    EXPECT_EQ(o.exit, 1) << o.err;
    EXPECT_TRUE(o.one_line_error()) << o.out << o.err;
    EXPECT_CONTAINS(o.err, "'r'", "process " + std::to_string(holder));
  }
};

TEST_F(CliLock, TwoTrainingsInOneFolder) {
  const Words train = tiny_train + " --quiet --out r";
  Program first(train + " --epochs 5000");
  ASSERT_TRUE(first.wait_until([&] { return fs::exists("r/last.safetensors"); }));
  for (const Words& how : {Words{}, Words{"--resume"}, Words{"--overwrite"}}) {
    expect_refused(train + " --epochs 1" + how, first.pid());
  }
  first.send(SIGKILL);
  EXPECT_EQ(first.wait().signal, SIGKILL);
  const Outcome after = run_beside(train + " --epochs 1 --overwrite");
  EXPECT_EQ(after.exit, 0) << after.err;
  EXPECT_FALSE(fs::exists("r/.lock"));
}

TEST_F(CliLock, ALockIsNoTraining) {
  write("r/.lock", "1\n");
  succeed(tiny_train + " --max-steps 0 --quiet --out r");
}

TEST_F(CliLock, TwoRunsInOneFolder) {
  write("r.toml", "[arch]\nwidth = 0.125\n[train.data]\nname = \"synthetic\"\n");
  const Words command = "run r.toml --quiet --threads 1 --out r";
  Program first(command);
  ASSERT_TRUE(first.wait_until([&] { return fs::exists("r/stages"); }));
  expect_refused(command, first.pid());
  first.send(SIGKILL);
  EXPECT_EQ(first.wait().signal, SIGKILL);
  EXPECT_NO_THROW(require_free("r"));
}

}  // namespace
}  // namespace hac
