// The JSON log and the progress line.

#include <pty.h>

#include "engine/io/file.h"
#include "engine/io/log.h"
#include "engine/io/progress.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

class LogFile : public InFolder {
 protected:
  const std::string path = folder.file("log.jsonl");
};

TEST_F(LogFile, AppendsOneObjectALineAtOnce) {
  JsonLog log(path);
  EXPECT_EQ(read_file(path), "");
  log.append(R"({"step":1})");
  EXPECT_EQ(read_file(path), "{\"step\":1}\n") << "not flushed";
  log.append(R"({"step":2})");
  EXPECT_EQ(read_file(path), "{\"step\":1}\n{\"step\":2}\n");
}

TEST_F(LogFile, ANewLogReplacesTheOld) {
  write_file_atomically(path, "{\"step\":1}\n");
  JsonLog log(path);
  EXPECT_EQ(read_file(path), "");
}

TEST_F(LogFile, ResumeDropsTheCutLineAndTheStepsToBeRedone) {
  write_file_atomically(path,
                        "{\"note\":\"start\"}\n{\"type\":\"result\",\"step\":5}\n{\"step\":5}\n{"
                        "\"step\":10}\n{\"step\":15}\n"
                        "not json\n{\"step\":10,\"lo");
  {
    JsonLog log(path, 10);
    log.append(R"({"step":11})");
  }
  EXPECT_EQ(read_file(path), "{\"note\":\"start\"}\n{\"step\":5}\n{\"step\":10}\n{\"step\":11}\n");
}

TEST_F(LogFile, WhatAFullDiskDoesNotTakeIsWrittenLater) {
  JsonLog log(path);
  log.append(R"({"step":1})");
  {
    const FullDisk full(15);
    log.append(R"({"step":2})");
    log.append(R"({"step":3})");
    EXPECT_THROW(log.flush(), IoError);
  }
  EXPECT_EQ(read_file(path), "{\"step\":1}\n{\"st");
  log.flush();
  EXPECT_EQ(read_file(path), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
}

TEST_F(LogFile, ResumeWithoutALogStartsOne) {
  JsonLog log(path, 3);
  EXPECT_EQ(read_file(path), "");
  EXPECT_THROW(JsonLog(folder.file("none/log.jsonl")), IoError);
}

TEST(Progress, LineShowsWhatIsKnown) {
  const ProgressState state{.phase = "epoch 3/20",
                            .done = 100,
                            .total = 400,
                            .images = 12800,
                            .seconds = 4,
                            .memory = std::size_t{512} << 20};
  EXPECT_EQ(
      progress_line(state, {.loss = 1.23456, .accuracy = 0.567, .lr = 0.1}),
      "epoch 3/20  100/400  loss 1.2346  acc 56.7 %  3200 img/s  eta 0:12  lr 0.1  mem 512 MiB");
  EXPECT_EQ(progress_line({.phase = "scan", .done = 0, .total = 7}, {}), "scan  0/7");
  EXPECT_EQ(progress_line({.phase = "scan", .done = 7, .total = 7, .seconds = 3725}, {}),
            "scan  7/7  took 1:02:05");
}

// What a line of progress prints into a file before its end, and in all.
std::array<std::string, 2> printed(bool quiet, std::int64_t steps) {
  std::FILE* out = std::tmpfile();
  const auto drain = [&] {
    std::rewind(out);
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), out));
    return text;
  };
  std::array<std::string, 2> texts;
  {
    Progress progress("epoch 1/1", steps, quiet, {}, out);
    for (std::int64_t i = 0; i < steps; ++i) progress.step(8, {.loss = 1});
    texts[0] = drain();
    progress.finish({.loss = 2});
  }
  texts[1] = drain();
  std::fclose(out);
  return texts;
}

TEST(Progress, OffATerminalOnlyTheLastLineIsPrinted) {
  const auto [before, text] = printed(false, 3);
  EXPECT_EQ(before, "");
  EXPECT_TRUE(text.starts_with("epoch 1/1  3/3  loss 2.0000")) << text;
  EXPECT_LACKS(text, "\r");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Progress, QuietPrintsNothing) { EXPECT_EQ(printed(true, 1), (std::array<std::string, 2>{})); }

TEST(Progress, OnATerminalTheLineIsOverwritten) {
  int ours = -1, theirs = -1;
  const winsize size{.ws_row = 24, .ws_col = 40};
  if (::openpty(&ours, &theirs, nullptr, nullptr, &size) != 0) GTEST_SKIP() << "no pty here";
  std::FILE* out = ::fdopen(theirs, "w");
  {
    Progress progress("a phase with a long name", 2, false, {}, out);
    progress.step(8, {.loss = 1, .accuracy = 0.5, .lr = 0.1});
    progress.finish({.loss = 2});
  }
  // What was written arrives in pieces.
  std::string text;
  char piece[4096];
  while (text.empty() || text.back() != '\n') {
    const ssize_t n = ::read(ours, piece, sizeof piece);
    ASSERT_GT(n, 0) << text;
    text.append(piece, static_cast<std::size_t>(n));
  }
  const std::size_t overwritten = text.find('\r');
  ASSERT_NE(overwritten, std::string::npos);
  EXPECT_LT(overwritten, 40u) << "the line wraps";
  EXPECT_CONTAINS(text, "loss 2.0000");
  EXPECT_EQ(text.back(), '\n');
  std::fclose(out);
  ::close(ours);
}

}  // namespace
}  // namespace hac
