// Folders of images: what is listed, in which order, and what is left out.

#include <sstream>

#include "data/image/decode.h"
#include "data/sets/datasets.h"
#include "data/sets/derived_set.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::expect_quadrants;
using testing::jpeg;
using testing::png;
using testing::quadrants;

// One pixel of grey.
std::string dot(char value) { return png(std::string("\0", 1) + value, 1, 1, 8, 0); }

DataSplit open_folder(const std::string& path, std::int64_t resolution = 16) {
  return open_data({.name = "imagefolder:" + path, .resolution = resolution});
}
DataSplit open_folder(const TempFolder& folder, std::int64_t resolution = 16) {
  return open_folder(folder.path(), resolution);
}

void write_folder(const TempFolder& folder) {
  const std::string picture = jpeg(quadrants(30, 40), 40, 30);
  folder.write("train/zebra/b.JPG", picture);
  folder.write("train/zebra/a.jpeg", picture);
  folder.write("train/ant/c.Png", png(std::string("\0\x01\x02\x03", 4), 1, 1, 8, 2));
  folder.write("train/ant/notes.txt", "no image");
  folder.write("train/ant/.hidden.jpg", "no image");
  folder.write("train/.cache/x.jpg", "no image");
  folder.write("train/README", "no class");
  folder.write("val/ant/a.jpg",
               png(std::string("\0\x05\x06\x07", 4), 1, 1, 8, 2));  // a PNG by another name
  folder.write("val/zebra/a.jpg", picture);
}

using ImageFolder = InFolder;

TEST_F(ImageFolder, ListsSortedClassesAndImages) {
  write_folder(folder);
  const DataSplit data = open_folder(folder);
  EXPECT_EQ(data.train->classes(), (std::vector<std::string>{"ant", "zebra"}));
  ASSERT_EQ(data.train->size(), 3);
  ASSERT_EQ(data.test->size(), 2);
  EXPECT_EQ(data.train->label(0), 0);
  EXPECT_EQ(data.train->label(1), 1);
  EXPECT_EQ(data.train->channels(), 3);
  EXPECT_EQ(data.train->resolution(), 16);
  EXPECT_EQ(data.train->get(2).width, 40);
  const Sample s = preprocess(data.train->read(2), data.train->preprocessing());
  ASSERT_EQ(s.pixels.size(), 3u * 16 * 16);
  expect_quadrants(s, 12);
  EXPECT_EQ(data.test->get(0).pixels[0], 5);
  EXPECT_EQ(open_data({.name = "imagefolder", .dir = folder.path()}).train->resolution(), 224);
  EXPECT_NEAR(data.train->normalization().mean[0], 0.485, 1e-6);
}

// Class folders a and b in train, b of val holds one image.
void write_two_classes(const TempFolder& folder) {
  for (const char* name : {"train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"}) {
    folder.write(name, dot(1));
  }
}

// Damage in the rows alone: a restart marker that does not belong there.
std::string with_hole(std::string jpeg_bytes) {
  return jpeg_bytes.replace(jpeg_bytes.size() - 120, 2, "\xff\xd5");
}

std::vector<std::string> names(const Dataset& set) {
  std::vector<std::string> list;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const std::string identity = set.identity(i);
    list.push_back(identity.substr(0, identity.rfind(' ')));
  }
  return list;
}

TEST_F(ImageFolder, ListsAnyDepthInTorchvisionsOrder) {
  write_two_classes(folder);
  for (const char* name : {"b.png", "sub/z.png", "sub/deep/y.PNG", "sub-a/x.png", "Z.png",
                           "sub.png", "images/0.png", "s\xff.png"}) {
    folder.write(std::string("train/a/") + name, dot(2));
  }
  // Python: [p for d, _, fs in sorted(os.walk("train/a")) for f in sorted(fs)]
  EXPECT_EQ(names(*open_folder(folder).train),
            (std::vector<std::string>{"a/1.png", "a/Z.png", "a/b.png", "a/sub.png", "a/s\xff.png",
                                      "a/images/0.png", "a/sub/z.png", "a/sub-a/x.png",
                                      "a/sub/deep/y.PNG", "b/1.png"}));
}

TEST_F(ImageFolder, SaysWhatItLeavesOut) {
  write_two_classes(folder);
  EXPECT_TRUE(open_folder(folder).notes.empty());
  for (const char* name :
       {"train/a/1.webp", "train/a/sub/2.WebP", "train/b/3.webp", "train/b/notes.txt",
        "train/b/LICENSE", "train/a/._1.png", "train/lost.png", "train/README", "train/a/.DS_Store",
        "train/a/.ipynb_checkpoints/1.png", "train/a/__MACOSX/1.png",
        "train/.ipynb_checkpoints/deep/1.png", "train/__MACOSX/1.png", "train/4.webp"}) {
    folder.write(name, "?");
  }
  std::filesystem::create_symlink("nowhere.png", folder.file("train/a/gone.png"));
  std::filesystem::create_symlink("self.png", folder.file("train/a/self.png"));
  std::filesystem::create_symlink(folder.path(), folder.file("train/a/.all"));  // not walked
  const DataSplit data = open_folder(folder);
  EXPECT_EQ(data.notes, (std::vector<std::string>{
                            "train: left out 5 hidden, 4 *.webp, 2 dangling link, 2 without "
                            "extension, 1 *.txt, 1 outside the class folders"}));
  EXPECT_EQ(names(*data.train), (std::vector<std::string>{"a/1.png", "b/1.png"}));
  EXPECT_EQ(data.train->classes(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(ImageFolder, FollowsLinksButNotInCircles) {
  const TempFolder elsewhere;
  write_two_classes(folder);
  elsewhere.write("pictures/2.png", dot(2));
  namespace fs = std::filesystem;
  fs::create_symlink(elsewhere.file("pictures/2.png"), folder.file("train/a/2.png"));
  fs::create_symlink(elsewhere.file("pictures"), folder.file("train/a/more"));
  fs::create_symlink("..", folder.file("train/a/up"));                          // to train
  fs::create_symlink(folder.path(), folder.file("train/b/top"));                // to the set
  fs::create_symlink(folder.file("train/b"), elsewhere.file("pictures/back"));  // not in a circle
  fs::create_symlink(folder.file("train/a"), elsewhere.file("pictures/round"));
  const DataSplit data = open_folder(folder);
  EXPECT_EQ(names(*data.train), (std::vector<std::string>{"a/1.png", "a/2.png", "a/more/2.png",
                                                          "a/more/back/1.png", "b/1.png"}));
  EXPECT_EQ(data.notes, (std::vector<std::string>{"train: left out 4 link to a folder around it"}));
  fs::rename(folder.file("train/b"), elsewhere.file("b"));
  fs::remove(elsewhere.file("b/top"));
  fs::create_symlink(elsewhere.file("b"), folder.file("train/b"));  // a class by a link
  EXPECT_EQ(names(*open_folder(folder).train).back(), "b/1.png");
  fs::remove(folder.file("train/b"));
  fs::create_symlink(folder.path(), folder.file("train/b"));
  EXPECT_ERROR(open_folder(folder), IoError, "got none (left out: 1 link to a folder around it)");
}

TEST_F(ImageFolder, AClassOfOtherTypesNamesThem) {
  write_two_classes(folder);
  std::filesystem::remove(folder.file("train/b/1.png"));
  for (const char* name : {"1.webp", "2.webp", "3.bmp"}) {
    folder.write(std::string("train/b/") + name, "?");
  }
  EXPECT_ERROR(open_folder(folder), IoError,
               folder.file("train/b") +
                   "': expected *.jpg, *.jpeg, *.jfif or *.png, got none "
                   "(left out: 2 *.webp, 1 *.bmp)");
}

TEST_F(ImageFolder, BadImagesAreFoundBeforeTheFirstStep) {
  write_two_classes(folder);
  const std::string photo = jpeg(quadrants(64, 64), 64, 64);
  folder.write("train/a/2.jpg", photo.substr(0, 500));
  folder.write("train/a/3.jpg", photo);
  folder.write("train/a/4.jpg", with_hole(photo));
  folder.write("train/b/4.jpg", "<html>");
  const DataConfig config{.name = "imagefolder:" + folder.path(), .resolution = 16};
  EXPECT_ERROR(open_data(config), IoError, folder.file("train") + "': 3 of 6 images are bad",
               folder.file("train/a/2.jpg") + "': corrupt JPEG",
               folder.file("train/a/4.jpg") + "': corrupt JPEG",
               folder.file("train/b/4.jpg") + "': expected a JPEG or PNG", "hacscale data check");
  DataConfig skip = config;
  skip.bad_images = BadImages::skip;
  const DataSplit data = open_data(skip);
  EXPECT_EQ(names(*data.train), (std::vector<std::string>{"a/1.png", "a/3.jpg", "b/1.png"}));
  EXPECT_EQ(data.train->label(2), 1);
  ASSERT_EQ(data.notes.size(), 1u);
  EXPECT_CONTAINS(data.notes[0], "train: left out 3 of 6 images that are bad");
  EXPECT_CONTAINS(data.notes[0], folder.file("train/b/4.jpg"));
  std::filesystem::remove(folder.file("train/b/1.png"));
  EXPECT_ERROR(open_data(skip), IoError, "got none (left out: 1 bad)");
}

TEST_F(ImageFolder, AFolderIsScannedOnceUntilItsNamesChange) {
  write_two_classes(folder);
  const DataConfig config{.name = "imagefolder:" + folder.path(), .resolution = 16};
  const std::int64_t images = open_data(config).train->size();
  folder.write("train/a/1.png", "<html>");  // shows that nothing is read again
  const DataSplit again = open_data(config);
  EXPECT_EQ(again.train->size(), images);
  EXPECT_ERROR(again.train->get(0), IoError, "expected a JPEG or PNG");
  folder.write("train/a/2.jpg", jpeg(quadrants(64, 64), 64, 64));
  EXPECT_ERROR(open_data(config), IoError, "1 of 3 images are bad");
}

TEST_F(ImageFolder, WhatIsDamagedLaterIsNamedWhenDecoded) {
  write_two_classes(folder);
  const std::string photo = jpeg(quadrants(64, 64), 64, 64);
  folder.write("train/a/0.jpg", photo);
  const DataSplit data = open_folder(folder);
  EXPECT_NO_THROW(data.train->get(0));
  folder.write("train/a/0.jpg", with_hole(photo));
  EXPECT_ERROR(data.train->get(0), IoError, folder.file("train/a/0.jpg"),
               "(hint: hacscale data check lists all bad files)");
}

TEST_F(ImageFolder, RejectsBadFolders) {
  EXPECT_THROW(open_data({.name = "imagefolder"}), ConfigError);
  EXPECT_THROW(open_data({.name = "imagefolder:"}), ConfigError);
  EXPECT_ERROR(open_folder(folder), IoError, folder.file("train"));
  std::filesystem::create_directories(folder.file("train"));
  EXPECT_ERROR(open_folder(folder), IoError, "a folder for each class, got none");
  write_folder(folder);
  EXPECT_THROW(open_folder(folder, -1), ConfigError);
  folder.write("val/dog/a.jpg", "");
  EXPECT_ERROR(open_folder(folder), IoError, "got 3 with 'dog' only in one of them");
  std::filesystem::remove_all(folder.file("val/dog"));
  std::filesystem::remove(folder.file("val/ant/a.jpg"));
  EXPECT_ERROR(open_folder(folder), IoError, folder.file("val/ant"));
  std::filesystem::remove_all(folder.file("val"));
  EXPECT_ERROR(open_folder(folder), IoError, folder.file("val"));
}

TEST_F(ImageFolder, RealPhotographsDecode) {
  const char* dir = std::getenv("HAC_DATA_DIR");
  const std::filesystem::path root = std::filesystem::path(dir ? dir : "") / "imagenet-sample-200";
  if (!dir || !std::filesystem::exists(root / "index.tsv")) {
    GTEST_SKIP() << "no imagenet-sample-200 in HAC_DATA_DIR";
  }
  std::ifstream index(root / "index.tsv");
  std::string line;
  std::getline(index, line);
  int images = 0, turned = 0;
  while (std::getline(index, line)) {
    std::istringstream fields(line);
    std::vector<std::string> row;
    for (std::string field; std::getline(fields, field, '\t');) row.push_back(field);
    const Sample s = read_image((root / row[3]).string());
    const bool swap = std::stoi(row[8].empty() ? "1" : row[8]) >= 5;
    EXPECT_EQ(swap ? s.height : s.width, std::stoll(row[4])) << row[3];
    EXPECT_EQ(swap ? s.width : s.height, std::stoll(row[5])) << row[3];
    ++images;
    turned += swap;
  }
  EXPECT_GE(images, 190);
  RecordProperty("turned", turned);
}

TEST(Fingerprint, OfAFolderIsItsPathsAndSizesAndNotItsPlace) {
  const auto write = [](const TempFolder& folder) {
    for (const std::string name :
         {"train/ant/a.png", "train/bee/b.png", "val/ant/a.png", "val/bee/b.png"}) {
      folder.write(name, dot(7));
    }
  };
  const auto of = [](const TempFolder& folder) { return fingerprint(*open_folder(folder).train); };
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
  const DataSplit data = open_folder(copy);
  std::filesystem::remove(copy.file("train/ant/b.png"));
  EXPECT_ERROR(fingerprint(*data.train), IoError, copy.file("train/ant/b.png"));
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
