// Folders of images: what is listed, in which order, and what is left out.

#include "data/datasets.h"
#include "data/image_set.h"
#include "tests/data_fixtures.h"

namespace hac {
namespace {

using testing::error_of;
using testing::png;

// One pixel of grey.
std::string dot(char value) { return png(std::string("\0", 1) + value, 1, 1, 8, 0); }

DataSplit open_folder(const std::string& path) {
  return open_data({.name = "imagefolder:" + path, .resolution = 4});
}

TEST(Fingerprint, OfAFolderIsItsPathsAndSizesAndNotItsPlace) {
  const auto write = [](const TempFolder& folder) {
    for (const std::string name :
         {"train/ant/a.png", "train/bee/b.png", "val/ant/a.png", "val/bee/b.png"}) {
      folder.write(name, dot(7));
    }
  };
  const auto of = [](const TempFolder& folder) {
    return fingerprint(*open_folder(folder.path()).train);
  };
  const TempFolder folder, copy;
  write(folder);
  write(copy);
  const std::string whole = of(folder);
  EXPECT_EQ(whole.size(), 16u);
  EXPECT_EQ(of(copy), whole);
  EXPECT_EQ(fingerprint(*open_folder(folder.path() + "/./").train), whole);
  copy.write("train/ant/a.png", dot(7) + " ");  // a byte more
  EXPECT_NE(of(copy), whole);
  copy.write("train/ant/a.png", dot(7));
  EXPECT_EQ(of(copy), whole);
  copy.write("train/ant/c.png", dot(7));  // an image more
  EXPECT_NE(of(copy), whole);
  std::filesystem::remove(copy.file("train/ant/c.png"));
  std::filesystem::rename(copy.file("train/ant/a.png"), copy.file("train/ant/b.png"));
  EXPECT_NE(of(copy), whole);
  const DataSplit data = open_folder(copy.path());
  std::filesystem::remove(copy.file("train/ant/b.png"));
  EXPECT_CONTAINS(error_of<IoError>([&] { fingerprint(*data.train); }),
                  copy.file("train/ant/b.png"));
}

TEST(Fingerprint, OfImagesInMemoryIsTheirBytesLabelsAndOrder) {
  const auto set = [](std::vector<std::uint8_t> pixels, std::vector<std::int32_t> labels) {
    return in_memory({.channels = 1,
                      .resolution = 1,
                      .pixels = std::move(pixels),
                      .labels = std::move(labels),
                      .classes = {"a", "b"}});
  };
  const std::string whole = fingerprint(*set({1, 2, 3}, {0, 1, 0}));
  EXPECT_EQ(fingerprint(*set({1, 2, 3}, {0, 1, 0})), whole);
  EXPECT_NE(fingerprint(*set({1, 2, 4}, {0, 1, 0})), whole);
  EXPECT_NE(fingerprint(*set({1, 2, 3}, {0, 1, 1})), whole);
  EXPECT_NE(fingerprint(*set({3, 2, 1}, {0, 1, 0})), whole);
  EXPECT_EQ(fingerprint(*subset(set({9, 1, 2, 3}, {0, 0, 1, 0}), {1, 2, 3})), whole);
}

}  // namespace
}  // namespace hac
