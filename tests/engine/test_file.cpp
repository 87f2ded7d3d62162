#include <sys/stat.h>
#include <unistd.h>

#include "engine/io/file.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

using File = InFolder;

TEST_F(File, WritesAndReadsWholeFiles) {
  const std::string path = folder.file("a.bin");
  const std::string bytes = std::string("\0\xff\n", 3) + std::string(3 << 20, 'x');
  write_file_atomically(path, bytes);
  EXPECT_EQ(read_file(path), bytes);
  write_file_atomically(path, "");
  EXPECT_EQ(read_file(path), "");
  EXPECT_EQ(folder.files(), 1u) << "a temporary file is left";
}

TEST_F(File, ReadIsBounded) {
  const std::string path = folder.file("a");
  write_file_atomically(path, "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  EXPECT_THROW(read_file(path, 4), IoError);
  EXPECT_THROW(read_file("/dev/zero", 1000), IoError);
}

TEST_F(File, ReadSaysWhichFileIsMissing) {
  EXPECT_ERROR(read_file(folder.file("missing.bin")), IoError, "missing.bin", "No such file");
  EXPECT_THROW(read_file(folder.file("")), IoError) << "a folder is no file";
}

TEST_F(File, AFullDiskLeavesTheOldFile) {
  const std::string path = folder.file("a");
  write_file_atomically(path, "old");
  {
    const FullDisk full(1 << 16);
    EXPECT_THROW(write_file_atomically(path, std::string(1 << 17, 'n')), IoError);
  }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(folder.files(), 1u) << "a temporary file is left";
}

TEST_F(File, RefusesPlacesThatCannotHoldAFile) {
  write_file_atomically(folder.file("a"), "x");
  EXPECT_THROW(write_file_atomically(folder.file("a/b"), "x"), IoError);
  EXPECT_THROW(write_file_atomically(folder.file("none/b"), "x"), IoError);
  EXPECT_THROW(make_folder(folder.file("a")), IoError);
  EXPECT_THROW(make_folder(folder.file("a/b")), IoError);
  make_folder(folder.file("c/d/e"));
  EXPECT_NO_THROW(make_folder(folder.file("c/d/e")));
  EXPECT_THROW(write_file_atomically(folder.file("c"), "x"), IoError);
  EXPECT_TRUE(std::filesystem::is_directory(folder.file("c/d/e")));
}

TEST_F(File, LeftoversOfKilledWritersAreRemoved) {
  const auto put = [&](const std::string& name) { std::ofstream(folder.file(name)) << "x"; };
  put("a.tmp-2000000000-3");  // no system counts its processes that far
  put("a.tmp-" + std::to_string(::getpid()) + "-0");
  for (const char* mine : {"a", "a.tmp-", "a.tmp-2000000000", "a.tmp-2000000000-3.txt"}) put(mine);
  remove_leftovers(folder.file(""));
  EXPECT_EQ(folder.files(), 5u);
  EXPECT_FALSE(std::filesystem::exists(folder.file("a.tmp-2000000000-3")));
  EXPECT_NO_THROW(remove_leftovers(folder.file("none")));
}

// A rename would put a plain file in the place of the device.
TEST_F(File, DoesNotReplaceWhatIsNoRegularFile) {
  const std::string path = folder.file("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(write_file_atomically(path, "x"), IoError);
  EXPECT_TRUE(std::filesystem::is_fifo(path));
}

}  // namespace
}  // namespace hac
