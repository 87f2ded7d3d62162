// Event files by their frames and checksums; what TensorBoard's rules make of them is read by
// tests/models/tensorboard_events.py.

#include "engine/io/event_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

// RFC 3720, B.4.
TEST(Crc32c, IsThatOfTheRfc) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

using Events = InFolder;

// A record without its wall time, which lies at 12 to 21 of it.
std::string without_time(const std::string& file, std::size_t at) {
  return file.substr(at + 21, 100);
}

TEST_F(Events, AreFramesWithLengths) {
  {
    EventFile file(folder.path());
    EXPECT_FALSE(file.continued());
    file.append(300, {{"loss/train", 0.5}});
  }
  const std::string path = EventFile::find(folder.path());
  ASSERT_NE(path.find("/events.out.tfevents."), std::string::npos) << path;
  const std::string bytes = read_file(path);
  std::vector<std::uint64_t> lengths;
  std::size_t at = 0;
  for (std::uint64_t length = 0; at < bytes.size(); at += length + 16) {
    std::memcpy(&length, bytes.data() + at, 8);
    lengths.push_back(length);
  }
  EXPECT_EQ(at, bytes.size());
  ASSERT_EQ(lengths.size(), 2u);
  // step 300 as a varint; a summary (5) of one value (1): tag (1) and simple_value (2).
  const std::string event = without_time(bytes, lengths[0] + 16);
  const std::string expected("\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0aloss/train\x15\x00\x00\x00\x3f",
                             24);
  EXPECT_EQ(event.substr(0, expected.size()), expected);
}

TEST_F(Events, ContinueBehindTheLastWholeRecord) {
  { EventFile(folder.path()).append(1, {{"lr", 0.1}}); }
  const std::string path = EventFile::find(folder.path()), whole = read_file(path);
  for (const std::string& tail : {whole.substr(0, 20), std::string(3, 'x'), std::string(40, '\0'),
                                  std::string(8, '\xff') + "lots"}) {
    write_file_atomically(path, whole + tail);
    { EventFile(folder.path(), 1).append(2, {{"lr", 0.2}}); }
    EXPECT_EQ(EventFile::find(folder.path()), path) << "another file";
    const std::string continued = read_file(path);
    EXPECT_EQ(continued.substr(0, whole.size()), whole);
    // A session (7) that starts (1: 1) at step 2, then the event.
    const std::string start("\x10\x02\x3a\x02\x08\x01", 6);
    EXPECT_EQ(without_time(continued, whole.size()).substr(0, 6), start);
    EXPECT_GT(continued.size(), whole.size() + 40);
    write_file_atomically(path, whole);
  }
}

TEST_F(Events, StartAnotherFileWhereNothingIsResumed) {
  EXPECT_EQ(EventFile::find(folder.path()), "");
  EXPECT_EQ(EventFile::find(folder.file("none")), "");
  EXPECT_FALSE(EventFile(folder.path(), 7).continued());
  EXPECT_TRUE(EventFile(folder.path(), 7).continued());
  EXPECT_THROW(EventFile(folder.file("none")), IoError);
}

}  // namespace
}  // namespace hac
