// Output and signals as shells, schedulers and terminals that go away have them: none ends a
// training without its checkpoint.

#include <pty.h>

#include "models/train/interrupt.h"
#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

class Output : public Cli {
 protected:
  static Words training(const std::string& out, const char* epochs) {
    return tiny_train + " --epochs " + epochs + " --out " + out;
  }
  static std::size_t epochs_logged(const std::string& out) {
    return lines_of(out + "/log.jsonl").size();
  }
  // Of another process, as the kernel shows it: a mask in hexadecimal.
  static bool handles(pid_t process, int signal) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("SigCgt:")) continue;
      return std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1;
    }
    return false;
  }
};

TEST_F(Output, AStderrThatCannotBeWrittenLosesOnlyMessages) {
  const RunOptions lost[] = {{.stderr_path = "/dev/full"}, {.closed = {STDERR_FILENO}}};
  for (std::size_t i = 0; i < std::size(lost); ++i) {
    const std::string out = "r" + std::to_string(i);
    const Outcome o = run(training(out, "2"), lost[i]);
    EXPECT_EQ(o.exit, 0) << "signal " << o.signal;
    EXPECT_CONTAINS(o.out, "top-1");
    EXPECT_EQ(epochs_logged(out), 2u);
    // No file took the place of the stream.
    EXPECT_LACKS(slurp(out + "/log.jsonl"), "epoch 1/2");
    succeed("eval " + out + "/last.safetensors");
    EXPECT_EQ(run("summary none.json", lost[i]).exit, 1);
    EXPECT_EQ(run("trian", lost[i]).exit, 2);
  }
}

TEST_F(Output, AStdoutThatCannotBeWrittenIsExitOneWithEverythingSaved) {
  const RunOptions lost[] = {{.stdout_path = "/dev/full"}, {.closed = {STDOUT_FILENO}}};
  for (std::size_t i = 0; i < std::size(lost); ++i) {
    const std::string out = "r" + std::to_string(i);
    const Outcome o = run(training(out, "1") + " --quiet", lost[i]);
    EXPECT_EQ(o.exit, 1) << "signal " << o.signal;
    EXPECT_EQ(o.err, "hacscale train: stdout: the result cannot be written\n");
    succeed("eval " + out + "/last.safetensors");
    for (const char* line :
         {"--help", "--version", "run quick --print", "summary resnet56 --json"}) {
      const Outcome p = run(line, lost[i]);
      EXPECT_EQ(p.exit, 1) << line;
      EXPECT_CONTAINS(p.err, "stdout: the result cannot be written");
    }
  }
}

TEST_F(Output, APipeThatNobodyReadsIsExitOne) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const Outcome o = run("summary", {.stdout_to = ends[1]});
  ::close(ends[1]);
  EXPECT_EQ(o.exit, 1) << "signal " << o.signal;
}

// Its reader is gone after the first epoch; the program was told to ignore the hang-up.
TEST_F(Output, ATerminalThatGoesAwayEndsNoTraining) {
  int master = -1, terminal = -1;
  ASSERT_EQ(::openpty(&master, &terminal, nullptr, nullptr, nullptr), 0);
  ::fcntl(master, F_SETFD, FD_CLOEXEC);
  Program program(training("r", "6"), {.stderr_to = terminal, .ignored = {SIGHUP}});
  ::close(terminal);
  EXPECT_TRUE(program.wait_until([&] { return epochs_logged("r") >= 1; }));
  ::close(master);
  const Outcome o = program.wait();
  EXPECT_EQ(o.exit, 0) << "signal " << o.signal;
  EXPECT_EQ(epochs_logged("r"), 6u);
}

TEST_F(Output, EverySignalThatAsksForAnEndSaves) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU}) {
    const std::string out = "r" + std::to_string(signal);
    Program program(training(out, "1000"));
    ASSERT_TRUE(program.wait_until([&] { return epochs_logged(out) >= 1; })) << signal;
    program.send(signal);
    const Outcome o = program.wait();
    EXPECT_EQ(o.exit, 130) << "signal " << signal << " ended it by " << o.signal << o.err;
    EXPECT_CONTAINS(o.err, "--resume)");
    EXPECT_TRUE(fs::exists(out + "/last.safetensors"));
  }
}

TEST_F(Output, AnIgnoredHangUpStaysIgnored) {
  Program program(training("r", "1000"), {.ignored = {SIGHUP}});
  ASSERT_TRUE(program.wait_until([&] { return epochs_logged("r") >= 1; }));
  EXPECT_TRUE(handles(program.pid(), SIGTERM));
  EXPECT_FALSE(handles(program.pid(), SIGHUP));
}

TEST(Interrupt, HandlersAreThereOnlyWhileAGuardLives) {
  const auto handler = [](int signal) {
    struct sigaction now = {};
    sigaction(signal, nullptr, &now);
    return now.sa_handler;
  };
  for (const int signal : stop_signals()) ASSERT_EQ(handler(signal), SIG_DFL) << signal;
  {
    const InterruptGuard guard;
    for (const int signal : stop_signals()) EXPECT_NE(handler(signal), SIG_DFL) << signal;
    for (int i = 0; i < 3; ++i) ::raise(SIGUSR1);
    EXPECT_TRUE(guard.requested());
  }
  for (const int signal : stop_signals()) EXPECT_EQ(handler(signal), SIG_DFL) << signal;
  const InterruptGuard next;
  EXPECT_FALSE(next.requested());
}

}  // namespace
}  // namespace hac
