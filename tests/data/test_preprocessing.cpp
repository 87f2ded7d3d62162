// One preprocessing for train, eval and infer, and classes by name.

#include <cmath>
#include <numeric>

#include "data/image/decode.h"
#include "data/sets/datasets.h"
#include "data/sets/derived_set.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::fit;
using testing::jpeg;
using testing::noise_image;

Sample centre(const Sample& s, std::int64_t size) {
  Sample out{s.channels, size, size, {}};
  const std::int64_t y0 = (s.height - size) / 2, x0 = (s.width - size) / 2;
  for (std::int64_t c = 0; c < s.channels; ++c)
    for (std::int64_t y = 0; y < size; ++y)
      for (std::int64_t x = 0; x < size; ++x)
        out.pixels.push_back(s.pixels[(c * s.height + y0 + y) * s.width + x0 + x]);
  return out;
}

// torchvision's Resize(256) and CenterCrop(224), small: resize 16, crop 14.
TEST(Preprocessing, CropPctResizesToMoreAndCropsTheCentre) {
  const Preprocessing p{.channels = 3, .resolution = 14, .crop_pct = 0.875};
  const Sample image = noise_image(3, 40, 40);
  EXPECT_EQ(preprocess(image, p).pixels, centre(fit(image, 3, 16), 14).pixels);
  EXPECT_NE(preprocess(image, p).pixels, fit(image, 3, 14).pixels);
  // An image of just the size is resized, too.
  const Sample small = noise_image(3, 14, 14);
  EXPECT_EQ(preprocess(small, p).pixels, centre(fit(small, 3, 16), 14).pixels);
}

TEST(Preprocessing, ABorderIsBlackAroundTheImage) {
  const Preprocessing p{.channels = 1, .resolution = 32, .border = 2};
  const Sample image = noise_image(3, 35, 40), out = preprocess(image, p),
               inner = fit(image, 1, 28);
  ASSERT_EQ(out.pixels.size(), 32u * 32);
  EXPECT_EQ(centre(out, 28).pixels, inner.pixels);
  std::int64_t sum = 0, sum_inner = 0;
  for (const int v : out.pixels) sum += v;
  for (const int v : inner.pixels) sum_inner += v;
  EXPECT_EQ(sum, sum_inner) << "the border is not black";
}

// The first image of a set as an evaluation sees it.
std::vector<std::uint8_t> prepared(const DatasetPtr& set) {
  return preprocess(set->read(0), set->preprocessing()).pixels;
}

// A set of a folder and `infer` read a file by the same function; a JPEG that libjpeg may scale
// down while it decodes is where they once differed.
TEST(Preprocessing, AFileGivesTheSamePixelsInASetAndAlone) {
  const TempFolder folder;
  const std::string photo = jpeg(noise_image(3, 60, 70).pixels, 70, 60);
  for (const char* part : {"train", "val"}) {
    folder.write(part + std::string("/ant/0.jpg"), photo);
    folder.write(part + std::string("/bee/0.jpg"), photo);
  }
  const DatasetPtr set = open_data({.name = "imagefolder:" + folder.path(), .resolution = 8}).train;
  const Sample alone =
      preprocess(read_image_file(folder.file("train/ant/0.jpg")), set->preprocessing());
  EXPECT_EQ(prepared(set), alone.pixels);
  EXPECT_NE(fit(decode_image(photo, "x"), 3, 8).pixels, alone.pixels) << "the test shows nothing";
}

TEST(Preprocessing, OfATrainedNetworkReplacesThatOfTheSet) {
  ImageSet grey{.channels = 1, .resolution = 28, .border = 2, .labels = {1}, .classes = {"a", "b"}};
  grey.pixels = noise_image(1, 28, 28).pixels;
  const DatasetPtr set = in_memory(grey);
  Preprocessing p = set->preprocessing();
  EXPECT_EQ(p.border, 2);
  EXPECT_EQ(preprocessed(set, p), set) << "nothing to do";
  p.normalization = {.mean = {0.25f, 0, 0}, .std = {0.5f, 1, 1}};
  const DatasetPtr other = preprocessed(set, p);
  EXPECT_EQ(prepared(other), prepared(set));
  EXPECT_EQ(other->normalization(), p.normalization);
  EXPECT_EQ(other->label(0), 1);
  EXPECT_EQ(other->identity(0), set->identity(0));
  // Without the border, in colour and larger: as if the bare image had been a file.
  const Preprocessing colour{.channels = 3, .resolution = 40};
  EXPECT_EQ(prepared(preprocessed(set, colour)), fit(noise_image(1, 28, 28), 3, 40).pixels);
  EXPECT_EQ(preprocessed(set, colour)->channels(), 3);
  EXPECT_EQ(preprocessed(set, colour)->resolution(), 40);
}

// An image of each class.
DatasetPtr set_of(const std::vector<std::string>& classes) {
  std::vector<std::int32_t> labels(classes.size());
  std::iota(labels.begin(), labels.end(), 0);
  return testing::numbered_images(labels, classes);
}

TEST(Relabelled, TakesClassesByName) {
  const std::vector<std::string> classes = {"bee", "cat", "ant"};
  const DatasetPtr same = set_of(classes);
  EXPECT_EQ(relabelled(same, classes, "x"), same);
  const DatasetPtr set = relabelled(set_of({"ant", "bee", "cat"}), classes, "x");
  EXPECT_EQ(set->classes(), classes);
  const std::int32_t expected[] = {2, 0, 1};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(set->label(i), expected[i]);
    EXPECT_EQ(set->get(i).pixels[0], i);
  }
}

TEST(Relabelled, RefusesOtherNamesAndNamesTheFirst) {
  const std::vector<std::string> classes = {"ant", "bee", "cat"};
  const auto refusal = [&](const std::vector<std::string>& of_set) {
    return error_of<ConfigError>([&] { relabelled(set_of(of_set), classes, "the set"); });
  };
  EXPECT_CONTAINS(refusal({"bee", "cat", "zebra"}), "'the set'", "'ant' is missing",
                  "'zebra' is unknown");
  EXPECT_CONTAINS(refusal({"ant", "bee"}), "its 2 classes are not the 3");
  EXPECT_CONTAINS(refusal({"ant", "bee", "cat", "dog"}), "'dog' is unknown");
  EXPECT_CONTAINS(refusal({"ant", "cat", "bee", "bee"}), "its 4 classes");
}

// As a checkpoint keeps them.
TEST(Relabelled, NamesThatAreNoUtf8AreThemselves) {
  const DatasetPtr set = set_of({"caf\xe9", "tea"});
  EXPECT_EQ(relabelled(set, {"caf\xef\xbf\xbd", "tea"}, "x"), set);
}

TEST(Preprocessing, FieldsOutOfRangeAreNamed) {
  const auto refusal = [](auto change) {
    Preprocessing p;
    change(p);
    return error_of<ConfigError>([&] { validate(p); });
  };
  EXPECT_NO_THROW(validate(Preprocessing{}));
  EXPECT_CONTAINS(refusal([](auto& p) { p.channels = 2; }), "channels");
  EXPECT_CONTAINS(refusal([](auto& p) { p.resolution = 0; }), "resolution");
  EXPECT_CONTAINS(refusal([](auto& p) { p.border = 112; }), "border");
  EXPECT_CONTAINS(refusal([](auto& p) { p.crop_pct = 1.1; }), "crop_pct");
  EXPECT_CONTAINS(refusal([](auto& p) { p.interpolation = "bicubic"; }), "bilinear");
  EXPECT_CONTAINS(refusal([](auto& p) { p.normalization.std[2] = 0; }), "std");
  EXPECT_CONTAINS(refusal([](auto& p) { p.normalization.mean[1] = NAN; }), "mean");
}

}  // namespace
}  // namespace hac
