// Sets in files of fixed records, the registry, limits and the synthetic set.

#include <array>
#include <cmath>
#include <numeric>

#include "data/image/transforms.h"
#include "data/sets/cifar.h"
#include "data/sets/datasets.h"
#include "data/sets/derived_set.h"
#include "data/sets/fashion_mnist.h"
#include "data/sets/gzip.h"
#include "tests/support/data_fixtures.h"

namespace hac {
namespace {

using testing::big_endian;
using testing::gzip;

std::int64_t pixel_sum(const Sample& s) {
  return std::accumulate(s.pixels.begin(), s.pixels.end(), std::int64_t{0});
}

std::string idx_images(std::uint32_t n, std::uint32_t side = 28) {
  std::string bytes =
      std::string("\0\0\x08\x03", 4) + big_endian(n) + big_endian(side) + big_endian(side);
  for (std::uint32_t i = 0; i < n * side * side; ++i) bytes += static_cast<char>(i * 7 + 1);
  return bytes;
}

std::string idx_labels(const std::string& labels) {
  return std::string("\0\0\x08\x01", 4) + big_endian(static_cast<std::uint32_t>(labels.size())) +
         labels;
}

void write_fashion(const TempFolder& folder, const std::string& images, const std::string& labels,
                   const std::string& suffix = "") {
  for (const std::string part : {"train", "t10k"}) {
    folder.write(part + "-images-idx3-ubyte" + suffix, images);
    folder.write(part + "-labels-idx1-ubyte" + suffix, labels);
  }
}

DataSplit open_fashion(const TempFolder& folder) {
  return open_data({.name = "fashion-mnist", .dir = folder.path()});
}

// --- Fashion-MNIST ---

using FashionMnist = InFolder;
using Gzip = InFolder;
using Cifar = InFolder;

TEST_F(FashionMnist, RealFiguresAgreeWithAnIndependentRead) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")) {
    GTEST_SKIP() << "no Fashion-MNIST here (apt-get install dataset-fashion-mnist)";
  }
  // By Python: numpy.frombuffer(gzip.open(FILE).read(), "u1")[16:].reshape(-1, 28, 28)
  const DataSplit data = open_data({.name = "fashion-mnist"});
  ASSERT_EQ(data.train->size(), 60000);
  ASSERT_EQ(data.test->size(), 10000);
  constexpr int train_labels[] = {9, 0, 0, 3, 0, 2, 7, 2, 5, 5};
  constexpr int test_labels[] = {9, 2, 1, 1, 6, 1, 4, 6, 5, 7};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(data.train->label(i), train_labels[i]);
    EXPECT_EQ(data.test->label(i), test_labels[i]);
  }
  constexpr int train_sums[] = {76247, 84598, 28662}, test_sums[] = {33456, 100994, 51520};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pixel_sum(data.train->get(i)), train_sums[i]);
    EXPECT_EQ(pixel_sum(data.test->get(i)), test_sums[i]);
  }
  EXPECT_EQ(pixel_sum(data.train->get(59999)), 16684);
  EXPECT_EQ(pixel_sum(data.test->get(9999)), 24390);
  EXPECT_EQ(data.train->classes()[9], "Ankle boot");

  std::int64_t sum = 0, squares = 0;
  for (std::int64_t i = 0; i < data.train->size(); ++i) {
    for (const std::int64_t p : data.train->get(i).pixels) {
      sum += p;
      squares += p * p;
    }
  }
  EXPECT_EQ(sum, 3431114169);
  const double n = 60000.0 * 32 * 32, mean = sum / 255.0 / n;
  EXPECT_NEAR(data.train->normalization().mean[0], mean, 1e-5);
  EXPECT_NEAR(data.train->normalization().std[0],
              std::sqrt(squares / 255.0 / 255.0 / n - mean * mean), 1e-5);
}

TEST_F(FashionMnist, PadsBy2AndReadsPlainAndGzip) {
  for (const bool zipped : {false, true}) {
    const TempFolder folder;
    const std::string images = idx_images(3), labels = idx_labels({"\x00\x09\x04", 3});
    zipped ? write_fashion(folder, gzip(images), gzip(labels), ".gz")
           : write_fashion(folder, images, labels);
    const DataSplit data = open_fashion(folder);
    ASSERT_EQ(data.test->size(), 3);
    EXPECT_EQ(data.test->channels(), 1);
    EXPECT_EQ(data.test->resolution(), 32);
    EXPECT_EQ(data.test->label(1), 9);
    EXPECT_EQ(data.test->label(2), 4);
    EXPECT_EQ(data.test->get(2).pixels.size(), 784u);
    const Sample s = preprocess(data.test->read(2), data.test->preprocessing());
    ASSERT_EQ(s.pixels.size(), 1024u);
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        const bool inside = y >= 2 && y < 30 && x >= 2 && x < 30;
        const auto stored = static_cast<std::uint8_t>(((2 * 28 + y - 2) * 28 + x - 2) * 7 + 1);
        ASSERT_EQ(s.pixels[y * 32 + x], inside ? stored : 0) << y << ", " << x;
      }
    }
  }
}

TEST_F(FashionMnist, MissingFilesSayHowToGetThem) {
  EXPECT_ERROR(open_fashion(folder), IoError, folder.path(), "train-images-idx3-ubyte",
               "apt-get install dataset-fashion-mnist");
}

TEST_F(FashionMnist, RejectsBadFiles) {
  const std::string images = idx_images(2), labels = idx_labels({"\x01\x02", 2});
  std::string wrong_magic = images, huge = images;
  wrong_magic[2] = '\x0d';
  huge.replace(4, 12, std::string(12, '\xff'));
  std::string bad_zip = gzip(images), bad_crc = gzip(images);
  bad_zip[bad_zip.size() / 2] = static_cast<char>(bad_zip[bad_zip.size() / 2] ^ 0x55);
  bad_crc[bad_crc.size() - 6] = static_cast<char>(bad_crc[bad_crc.size() - 6] ^ 1);
  const std::array<std::string, 3> cases[] = {
      {"", labels, "expected a header of 16 bytes, got 0"},
      {images.substr(0, 15), labels, "expected a header of 16 bytes, got 15"},
      {images.substr(0, images.size() - 1), labels,
       "expected 1568 bytes after the header, got 1567"},
      {images + "x", labels, "expected 1568 bytes after the header, got 1569"},
      {wrong_magic, labels, "magic number 00 00 08 03, got 00 00 0d 03"},
      {huge, labels, "overflow"},
      {labels, labels, "expected a header of 16 bytes, got 10"},
      {idx_images(2, 27), labels, "expected images of 28x28, got 27x27"},
      {images, idx_labels({"\x01\x02\x03", 3}), "expected 2 labels, one an image, got 3"},
      {images, idx_labels({"\x01\x0a", 2}), "label 10 of image 1 is out of range"},
      {images, labels.substr(0, 9), "expected 2 bytes after the header, got 1"},
      {gzip(images).substr(0, 60), labels, "the file is cut"},
      {bad_zip, labels, "gzip"},
      {bad_crc, labels, "incorrect data check"},
      {gzip(images) + gzip(labels).substr(0, 20), labels, "the file is cut"},
  };
  for (const auto& [bad_images, bad_labels, expected] : cases) {
    const TempFolder folder;
    write_fashion(folder, bad_images, bad_labels);
    EXPECT_ERROR(open_fashion(folder), IoError, expected, folder.path());
  }
}

TEST_F(Gzip, IsBoundedAndReadsSeveralMembers) {
  const auto read = [&](const std::string& bytes, std::uint64_t most) {
    folder.write("x.gz", bytes);
    return read_gzip_file(folder.file("x.gz"), most);
  };
  const std::string zeros(1 << 20, '\0'), packed = gzip(zeros);
  EXPECT_EQ(read(packed, zeros.size()), zeros);
  EXPECT_ERROR(read(packed, zeros.size() - 1), IoError, folder.file("x.gz"));
  EXPECT_ERROR(read(packed, 100), IoError, "at most 100 bytes");
  EXPECT_ERROR(read("plain", 4), IoError, "at most 4 bytes");
  EXPECT_EQ(read("plain", 5), "plain");
  EXPECT_EQ(read(gzip("one ") + gzip("two"), 100), "one two");
  EXPECT_EQ(read(gzip("one ") + gzip("two") + "junk", 100), "one two");  // as gzip does
  EXPECT_EQ(read(gzip(""), 0), "");
  EXPECT_EQ(read("\x1f", 10), "\x1f");  // too short for the magic number: a plain file
  for (std::size_t n = 2; n < packed.size(); ++n) {
    EXPECT_THROW(read(packed.substr(0, n), 1 << 21), IoError) << n;
  }
  EXPECT_ERROR(read_gzip_file(folder.file("none"), 9), IoError, "none': No such file");
  EXPECT_THROW(read_gzip_file(folder.path(), 9), IoError);
}

// --- CIFAR ---

std::string record(const std::string& labels, int seed) {
  std::string bytes = labels;
  for (int i = 0; i < 3072; ++i) bytes += static_cast<char>(i * 3 + seed);
  return bytes;
}

CifarLayout tiny(CifarLayout layout) {
  layout.records = layout.test_records = 2;
  return layout;
}

DataSplit open_tiny(const CifarLayout& layout, const TempFolder& folder) {
  return open_cifar(tiny(layout), {.dir = folder.path()});
}

void write_cifar10(const TempFolder& folder, const std::string& prefix = "") {
  for (int b = 1; b <= 5; ++b) {
    folder.write(
        prefix + "data_batch_" + std::to_string(b) + ".bin",
        record(std::string(1, static_cast<char>(b)), b) + record(std::string(1, '\x09'), b + 50));
  }
  folder.write(prefix + "test_batch.bin",
               record(std::string(1, '\0'), 7) + record(std::string(1, '\x08'), 8));
}

TEST_F(Cifar, ReadsTheRecordsInFileOrder) {
  for (const std::string prefix : {"", "cifar-10-batches-bin/"}) {
    const TempFolder folder;
    write_cifar10(folder, prefix);
    const DataSplit data = open_tiny(cifar10_layout(), folder);
    ASSERT_EQ(data.train->size(), 10);
    ASSERT_EQ(data.test->size(), 2);
    EXPECT_EQ(data.train->label(4), 3);
    EXPECT_EQ(data.train->label(5), 9);
    const Sample s = data.train->get(5);
    EXPECT_EQ(s.channels, 3);
    for (int i = 0; i < 3072; ++i) ASSERT_EQ(s.pixels[i], static_cast<std::uint8_t>(i * 3 + 53));
    EXPECT_EQ(data.train->classes()[8], "ship");
  }
}

TEST_F(Cifar, Reads100WithFineLabelsAndNames) {
  folder.write("train.bin", record("\x13\x63", 1) + record({"\x00\x00", 2}, 2));
  folder.write("test.bin", record({"\x00\x05", 2}, 3) + record({"\x00\x06", 2}, 4));
  std::string names;
  for (int c = 0; c < 100; ++c) names += "thing " + std::to_string(c) + "\r\n";
  folder.write("fine_label_names.txt", names + "\n");
  const DataSplit data = open_tiny(cifar100_layout(), folder);
  EXPECT_EQ(data.train->label(0), 99);
  EXPECT_EQ(data.test->label(1), 6);
  EXPECT_EQ(data.test->get(1).pixels[1], 7);
  EXPECT_EQ(data.test->classes()[6], "thing 6");
  folder.write("fine_label_names.txt", "one\ntwo\n");
  EXPECT_ERROR(open_tiny(cifar100_layout(), folder), IoError,
               "expected 100 class names, one a line, got 2");
}

TEST_F(Cifar, RejectsBadFiles) {
  const std::string good = record(std::string(1, '\x01'), 0) + record(std::string(1, '\x02'), 1);
  std::string bad_label = good;
  bad_label[3073] = '\x0a';
  const std::pair<std::string, std::string> cases[] = {
      {"", "got 0 (the file is cut)"},
      {good.substr(0, 3073),
       "expected 2 records of 3073 bytes = 6146 bytes, got 3073 (the file is cut)"},
      {good.substr(0, 6145), "got 6145 (the file is cut)"},
      {good + "x", "got 6147"},
      {bad_label, "label 10 of record 1 is out of range"},
  };
  for (const auto& [bytes, expected] : cases) {
    const TempFolder folder;
    write_cifar10(folder);
    folder.write("data_batch_3.bin", bytes);
    EXPECT_ERROR(open_tiny(cifar10_layout(), folder), IoError, expected,
                 folder.file("data_batch_3.bin"));
  }
  write_cifar10(folder);
  std::filesystem::remove(folder.file("data_batch_4.bin"));
  EXPECT_ERROR(open_tiny(cifar10_layout(), folder), IoError, "data_batch_4.bin",
               "cifar-10-binary.tar.gz");
}

TEST_F(Cifar, RealSetHasTheKnownStatistics) {
  const char* dir = std::getenv("HAC_DATA_DIR");
  if (!dir || !std::filesystem::exists(std::filesystem::path(dir) / "cifar-10-batches-bin")) {
    GTEST_SKIP() << "no cifar-10-batches-bin in HAC_DATA_DIR";
  }
  const DataSplit data = open_data({.name = "cifar10"});
  ASSERT_EQ(data.train->size(), 50000);
  ASSERT_EQ(data.test->size(), 10000);
  std::array<std::int64_t, 10> count{};
  std::array<double, 3> sum{}, squares{};
  for (std::int64_t i = 0; i < data.train->size(); ++i) {
    const Sample s = data.train->get(i);
    ++count[data.train->label(i)];
    for (int k = 0; k < 3072; ++k) {
      sum[k / 1024] += s.pixels[k] / 255.0;
      squares[k / 1024] += s.pixels[k] * s.pixels[k] / 65025.0;
    }
  }
  for (const auto c : count) EXPECT_EQ(c, 5000);
  for (int c = 0; c < 3; ++c) {
    const double n = 50000.0 * 1024, mean = sum[c] / n;
    EXPECT_NEAR(data.train->normalization().mean[c], mean, 1e-4);
    EXPECT_NEAR(data.train->normalization().std[c], std::sqrt(squares[c] / n - mean * mean), 1e-4);
  }
}

TEST(Datasets, UnknownNameListsTheKnownOnes) {
  const std::string message = error_of<ConfigError>([] { open_data({.name = "imagenet"}); });
  EXPECT_CONTAINS(message, "'imagenet'");
  for (const DatasetInfo& set : datasets()) {
    EXPECT_CONTAINS(message, std::string(set.name));
    EXPECT_EQ(dataset_info(std::string(set.name) + ":x").open, set.open);
  }
  EXPECT_EQ(dataset_usage(),
            "fashion-mnist, cifar10, cifar100, imagefolder:DIR, packed:FILE or "
            "synthetic");
  EXPECT_EQ(dataset_info("cifar").open, nullptr);
}

DatasetPtr labelled(const std::vector<std::int32_t>& labels) {
  return testing::numbered_images(labels, {"a", "b", "c"});
}

TEST(Limit, TakesTheFirstOfEachClassInFileOrder) {
  const DatasetPtr set = labelled({2, 2, 0, 2, 1, 0, 1, 0, 2});
  const auto picked = [&](std::int64_t n) {
    const DatasetPtr limited = limit_per_class(set, n, "--limit-train");
    std::vector<int> indices;
    for (std::int64_t i = 0; i < limited->size(); ++i) {
      const Sample s = limited->get(i);
      EXPECT_EQ(limited->label(i), set->label(s.pixels[0]));
      indices.push_back(s.pixels[0]);
    }
    return indices;
  };
  EXPECT_EQ(picked(3), (std::vector<int>{0, 2, 4}));
  EXPECT_EQ(picked(6), (std::vector<int>{0, 1, 2, 4, 5, 6}));
  EXPECT_EQ(picked(8), picked(6));  // two of each: equal numbers come first
  EXPECT_EQ(picked(0).size(), 9u);
  EXPECT_ERROR(picked(9), ConfigError,
               "--limit-train 9: expected 3 images of each class, class 'b' has 2");
  EXPECT_ERROR(picked(2), ConfigError, "at least one image for each of the 3");
  EXPECT_THROW(picked(-1), ConfigError);
}

TEST(Limit, ReachesBothPartsThroughTheConfig) {
  const DataSplit data =
      open_data({.name = "synthetic", .limit_train = 40, .limit_test = 20, .classes = 4});
  EXPECT_EQ(data.train->size(), 40);
  EXPECT_EQ(data.test->size(), 20);
  EXPECT_EQ(data.test->classes().size(), 4u);
}

TEST(ImageSet, RejectsWhatDoesNotFit) {
  const auto refused = [](const ImageSet& set) { EXPECT_THROW(in_memory(set), ShapeError); };
  refused({.channels = 1, .resolution = 2, .pixels = {1, 2, 3}, .labels = {0}, .classes = {"a"}});
  refused({.channels = 1, .resolution = 1, .pixels = {1}, .labels = {1}, .classes = {"a"}});
  ImageSet set{.channels = 1, .resolution = 1, .pixels = {1}, .labels = {0}, .classes = {"a"}};
  set.normalization = {.mean = {0.2f}, .std = {0.3f}};
  EXPECT_ERROR(in_memory(set), ConfigError, "'std'");
  EXPECT_THROW(subset(labelled({0, 1}), {2}), ShapeError);
  EXPECT_THROW(labelled({0, 1})->get(2), std::out_of_range);
}

// Energy of the class textures, whatever the phases: a classifier that is not a net.
int brightest_texture(const Sample& s, int classes, int grid) {
  const int r = static_cast<int>(s.width);
  int best = 0;
  double best_energy = -1;
  for (int c = 0; c < classes; ++c) {
    const double fx = 2 * M_PI * (1 + c % grid) / r, fy = 2 * M_PI * (1 + c / grid) / r;
    std::array<double, 4> sums{};
    for (int y = 0; y < r; ++y) {
      for (int x = 0; x < r; ++x) {
        const double p = s.pixels[y * r + x], ax = fx * (x + 0.5), ay = fy * (y + 0.5);
        sums[0] += p * std::cos(ax) * std::cos(ay);
        sums[1] += p * std::cos(ax) * std::sin(ay);
        sums[2] += p * std::sin(ax) * std::cos(ay);
        sums[3] += p * std::sin(ax) * std::sin(ay);
      }
    }
    double energy = 0;
    for (const double v : sums) energy += v * v;
    if (energy > best_energy) best_energy = energy, best = c;
  }
  return best;
}

TEST(Synthetic, CanBeLearntAtAnyResolution) {
  for (const std::int64_t resolution : {8, 32, 33, 64}) {
    const DataSplit data = open_data({.name = "synthetic", .resolution = resolution});
    ASSERT_EQ(data.train->resolution(), resolution);
    int right = 0;
    for (int i = 0; i < 50; ++i) {
      const Sample s = data.test->get(i);
      ASSERT_EQ(data.test->label(i), i % 10);
      ASSERT_EQ(std::ssize(s.pixels), 3 * resolution * resolution);
      right += brightest_texture(s, 10, 4) == i % 10;
    }
    EXPECT_GE(right, 49) << resolution;
  }
}

TEST(Synthetic, DependsOnSplitAndIndexAlone) {
  const DataConfig config{.name = "synthetic", .resolution = 16, .classes = 3};
  const DataSplit a = open_data(config), b = open_data(config);
  EXPECT_EQ(a.train->get(17).pixels, b.train->get(17).pixels);
  EXPECT_NE(a.train->get(17).pixels, a.train->get(20).pixels);
  EXPECT_NE(a.train->get(17).pixels, a.test->get(17).pixels);
}

TEST(Synthetic, RejectsWhatCannotBeShown) {
  EXPECT_THROW(open_data({.name = "synthetic", .classes = 1}), ConfigError);
  EXPECT_THROW(open_data({.name = "synthetic", .classes = -3}), ConfigError);
  EXPECT_THROW(open_data({.name = "synthetic", .resolution = -1}), ConfigError);
  EXPECT_ERROR(open_data({.name = "synthetic", .resolution = 16, .classes = 100}), ConfigError,
               "expect a resolution of 20 to 4096, got 16");
}

}  // namespace
}  // namespace hac
