// Packed files: what is written is read back, however often writing was stopped, and what is not
// what was written is refused.

#include <fmt/format.h>
#include <omp.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "data/loader/loader.h"
#include "data/sets/pack.h"
#include "data/sets/packed_layout.h"
#include "tests/support/image_fixtures.h"

namespace hac {
namespace {

using testing::jpeg;
using testing::png;
using testing::quadrants;

std::string file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string noise_jpeg(int height, int width, std::uint64_t seed) {
  std::vector<std::uint8_t> packed(3 * height * width);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    packed[i] = static_cast<std::uint8_t>(128 + (Philox{seed, 3}.bits(i) >> 26) + i / 64 % 40);
  }
  return jpeg(packed, width, height, {.h = 2, .v = 2});
}

class Packed : public InFolder {
 protected:
  void SetUp() override {
    int seed = 0;
    for (const char* name : {"train/ant/1.jpg", "train/ant/2.jpg", "train/bee/1.jpg",
                             "train/bee/deep/2.jpg", "val/ant/1.jpg", "val/bee/1.jpg"}) {
      ++seed;
      folder.write(std::string("set/") + name, noise_jpeg(40 + 7 * seed, 130 - 11 * seed, seed));
    }
    folder.write("set/train/ant/0.png", png(std::string("\0\x01\x02\x03", 4), 1, 1, 8, 2));
    folder.write("set/val/bee/large.jpg", noise_jpeg(200, 333, 77));
  }
  PackResult pack(const std::string& out, PackConfig config = {.side = 48}) const {
    config.quiet = true;
    return pack_images(folder.file("set"), folder.file(out), config);
  }
  DataSplit open(const std::string& file, std::int64_t resolution = 48) const {
    return open_data({.name = "packed:" + folder.file(file), .resolution = resolution});
  }
  DataSplit open_original(std::int64_t resolution = 48) const {
    return open_data({.name = "imagefolder:" + folder.file("set"), .resolution = resolution});
  }
  void change(const std::string& name, std::size_t at, char to) const {
    std::fstream file(folder.file(name), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at)).put(to);
  }
};

void expect_same_labels(const Dataset& a, const Dataset& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(a.classes(), b.classes());
  EXPECT_EQ(a.preprocessing(), b.preprocessing());
  for (std::int64_t i = 0; i < a.size(); ++i) EXPECT_EQ(a.label(i), b.label(i)) << i;
}

// Resized to the side that evaluation resizes to, so nothing of it is left to do.
TEST_F(Packed, RawEvaluatesAsItsFolderDoesBitForBit) {
  EXPECT_EQ(pack("p").images, 8);
  const DataSplit packed = open("p"), original = open_original();
  EXPECT_TRUE(packed.notes.empty());
  for (const auto& [a, b] :
       {std::pair(packed.train, original.train), std::pair(packed.test, original.test)}) {
    expect_same_labels(*a, *b);
    for (std::int64_t i = 0; i < a->size(); ++i) {
      const Sample s = a->get(i), whole = b->get(i);
      const std::int64_t shorter = std::min(whole.height, whole.width);
      EXPECT_EQ(std::min(s.height, s.width), std::min<std::int64_t>(48, shorter))
          << i;  // not enlarged
      if (shorter <= 48) {
        EXPECT_EQ(s.pixels, whole.pixels) << i;
      }
      EXPECT_EQ(preprocess(a->read(i), a->preprocessing()).pixels,
                preprocess(b->read(i), b->preprocessing()).pixels)
          << i;
    }
  }
  EXPECT_ERROR(open("p", -1), ConfigError, "data 'resolution'");
  ASSERT_EQ(open("p", 64).notes.size(), 1u);
  EXPECT_CONTAINS(open("p", 64).notes[0], "at most 48, enlarged to 64");
}

TEST_F(Packed, JpegKeepsSmallFilesAndIsCloseForOthers) {
  pack("p", {.side = 60, .store = PackStore::jpeg, .quality = 95});
  const DataSplit packed = open("p"), original = open_original();
  expect_same_labels(*packed.train, *original.train);
  expect_same_labels(*packed.test, *original.test);
  int kept = 0;
  for (std::int64_t i = 0; i < packed.train->size(); ++i) {
    const Sample s = packed.train->get(i), whole = original.train->get(i);
    const bool png = packed.train->identity(i).starts_with("ant/0.png");  // no JPEG to keep
    if (png || std::min(whole.height, whole.width) > 60) continue;
    EXPECT_EQ(s.pixels, whole.pixels) << i;
    ++kept;
  }
  EXPECT_EQ(kept, 2);
  const std::int64_t last = packed.test->size() - 1;
  const Sample large = packed.test->get(last);
  EXPECT_EQ(large.height, 60);
  EXPECT_EQ(large.width, 99);
  const Sample right = apply({Resize{60}}, original.test->get(last), {0, 0, 0}).render(3);
  double sum = 0;
  for (std::size_t i = 0; i < right.pixels.size(); ++i) {
    sum += std::abs(large.pixels[i] - right.pixels[i]);
  }
  EXPECT_LT(sum / static_cast<double>(right.pixels.size()), 6);
}

TEST_F(Packed, BytesDependOnNeitherThreadsNorPlace) {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  pack("one");
  omp_set_num_threads(4);
  pack("four");
  omp_set_num_threads(threads);
  const std::string bytes = file_bytes(folder.file("one"));
  EXPECT_EQ(bytes, file_bytes(folder.file("four")));
  const TempFolder copy;
  std::filesystem::copy(folder.file("set"), copy.file("set"),
                        std::filesystem::copy_options::recursive);
  pack_images(copy.file("set") + "/", copy.file("there"), {.side = 48, .quiet = true});
  EXPECT_EQ(bytes, file_bytes(copy.file("there")));
}

// As if the process had been killed after any number of bytes.
TEST_F(Packed, ContinuesFromWhereverItWasStopped) {
  pack("whole");
  const std::string bytes = file_bytes(folder.file("whole"));
  std::int64_t most = 0;
  for (std::size_t cut = 0; cut < bytes.size(); cut += 611) {
    folder.write("p.part", bytes.substr(0, cut));
    const PackResult result = pack("p");
    EXPECT_EQ(file_bytes(folder.file("p")), bytes) << cut;
    EXPECT_GE(result.continued, most) << cut;
    most = result.continued;
    EXPECT_FALSE(std::filesystem::exists(folder.file("p.part")));
    std::filesystem::remove(folder.file("p"));
  }
  EXPECT_EQ(most, 8);
  std::string damaged = bytes;  // what was half on the disk when the power failed
  damaged[bytes.size() / 2] ^= 1;
  folder.write("p.part", damaged);
  const PackResult result = pack("p");
  EXPECT_LT(result.continued, 8);
  EXPECT_GT(result.continued, 0);
  EXPECT_EQ(file_bytes(folder.file("p")), bytes);
}

TEST_F(Packed, NothingIsReplacedOrContinuedThatIsOfSomethingElse) {
  pack("p");
  const std::string bytes = file_bytes(folder.file("p"));
  EXPECT_ERROR(pack("p"), IoError, folder.file("p") + "': exists already", "--overwrite");
  folder.write("q.part", bytes.substr(0, bytes.size() / 2));
  EXPECT_ERROR(pack("q", {.side = 40}), IoError, "q.part': was begun from another set, or with");
  folder.write("set/train/ant/3.jpg", noise_jpeg(50, 50, 9));
  EXPECT_ERROR(pack("q"), IoError, "q.part': was begun from another set, or with");
  EXPECT_EQ(file_bytes(folder.file("q.part")), bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(pack("q", {.side = 48, .overwrite = true}).images, 9);
  EXPECT_EQ(pack("p", {.side = 40, .overwrite = true}).images, 9);
  EXPECT_NE(file_bytes(folder.file("p")), bytes);
  EXPECT_ERROR(pack("absent/p"), IoError, "absent");
  EXPECT_ERROR(pack("r", {.side = 0}), ConfigError, "pack 'side'");
}

TEST_F(Packed, BadImagesAreNamedAtTheEndAndCanBeLeftOut) {
  folder.write("set/train/ant/0.jpg", noise_jpeg(64, 64, 4).substr(0, 700));
  folder.write("set/val/bee/x.jpg", "<html>");
  EXPECT_ERROR(pack("p"), IoError, "2 of 10 images are bad", "train/ant/0.jpg': corrupt JPEG",
               "val/bee/x.jpg': expected a JPEG or PNG", "--bad-images skip");
  const PackResult result = pack("p", {.side = 48, .bad_images = BadImages::skip});
  EXPECT_EQ(result.images, 8);
  EXPECT_EQ(result.bad, 2);
  EXPECT_EQ(result.continued, 8);
  EXPECT_EQ(open("p").train->size(), 5);
  folder.write("set/val/ant/1.jpg", "<html>");
  EXPECT_ERROR(pack("q", {.side = 48, .bad_images = BadImages::skip}), IoError,
               "all images of val/ant are bad");
  std::filesystem::remove_all(folder.file("set/val/ant"));
  EXPECT_ERROR(pack("r"), IoError, "got 1 with 'ant' only in one of them");
}

// Either when it is opened, or when its image is read.
TEST_F(Packed, EveryFlippedByteIsFound) {
  pack("p", {.side = 6});
  const std::string bytes = file_bytes(folder.file("p"));
  const auto read_all = [&] {
    const DataSplit data = open("changed", 6);
    for (const DatasetPtr& set : {data.train, data.test}) {
      for (std::int64_t i = 0; i < set->size(); ++i) set->get(i);
    }
  };
  folder.write("changed", bytes);
  std::size_t passed = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    change("changed", at, static_cast<char>(bytes[at] ^ 0x40));
    try {
      read_all();
      ++passed;
    } catch (const IoError& error) {
      EXPECT_CONTAINS(std::string(error.what()), folder.file("changed"));
    }
    change("changed", at, bytes[at]);
  }
  // Only what fills up to the next multiple of 64, and is nobody's, may be anything.
  packed::Header header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  std::size_t filling =
      sizeof header.zero + packed::aligned(header.about_bytes) - header.about_bytes;
  const PackedFile file(folder.file("p"));
  for (const PackedEntry& e : file.entries()) {
    filling += packed::end_of(e) - e.at - sizeof e - e.name_bytes - e.bytes;
  }
  EXPECT_EQ(passed, filling);
}

TEST_F(Packed, WhatIsNotAWholePackedFileIsRefused) {
  EXPECT_ERROR(open("absent"), IoError, "packed '" + folder.file("absent") + "': expected a file");
  EXPECT_ERROR(open("set"), IoError, "expected a file of 'hacscale data pack'");
  EXPECT_THROW(open_data({.name = "packed"}), ConfigError);
  EXPECT_THROW(open_data({.name = "packed:"}), ConfigError);
  for (const std::string& bytes : {std::string(), std::string(200, '?'), noise_jpeg(9, 9, 1)}) {
    folder.write("x", bytes);
    EXPECT_ERROR(open("x"), IoError, "expected a file of 'hacscale data pack', got something else");
  }
  pack("p");
  const std::string bytes = file_bytes(folder.file("p"));
  folder.write("x", bytes);
  change("x", 8, 2);
  EXPECT_ERROR(open("x"), IoError, "expected version 1 of the format, got 2");
  for (const std::size_t cut :
       {64ul, 100ul, bytes.size() / 2, bytes.size() - 64, bytes.size() - 1}) {
    folder.write("x", bytes.substr(0, cut));
    EXPECT_ERROR(open("x"), IoError,
                 fmt::format("it is cut or was never finished: no end at byte {}", cut));
  }
  folder.write("x", bytes + bytes.substr(bytes.size() - 64));  // its end, once more
  EXPECT_ERROR(open("x"), IoError, "it is cut or was never finished");
}

// With right checksums, as somebody would make them who means harm.
TEST_F(Packed, AnIndexThatPointsOutsideIsRefused) {
  pack("p");
  const std::string bytes = file_bytes(folder.file("p"));
  packed::Footer footer{};
  std::memcpy(&footer, bytes.data() + bytes.size() - sizeof footer, sizeof footer);
  const auto expect_refused = [&](auto change, const std::string& message) {
    std::string changed = bytes;
    PackedEntry entry{};
    char* const first = changed.data() + footer.index_at;
    std::memcpy(&entry, first, sizeof entry);
    change(entry);
    entry.crc = packed::crc_of(entry);
    std::memcpy(first, &entry, sizeof entry);
    packed::Footer end = footer;
    end.index_crc = crc32_of({first, footer.entries * sizeof entry});
    end.crc = packed::crc_of(end);
    std::memcpy(changed.data() + changed.size() - sizeof end, &end, sizeof end);
    folder.write("x", changed);
    EXPECT_ERROR(open("x"), IoError, message);
  };
  const std::string outside = "entry 0 points outside of the file";
  expect_refused([&](PackedEntry& e) { e.at = footer.index_at; }, outside);
  expect_refused([&](PackedEntry& e) { e.at = ~0ull - 63; }, outside);
  expect_refused([&](PackedEntry& e) { e.at = 3; }, outside);
  expect_refused([&](PackedEntry& e) { e.bytes = ~0ull; }, outside);
  expect_refused([&](PackedEntry& e) { e.bytes = footer.index_at; }, outside);
  expect_refused([&](PackedEntry& e) { e.name_bytes = ~0u; }, outside);
  expect_refused([&](PackedEntry& e) { e.height = 2; },
                 "entry 0: expected 6 bytes for (2, 1), got 3");
  expect_refused([&](PackedEntry& e) { e.width = 0; }, "expected 1 to 180000000 pixels");
  expect_refused([&](PackedEntry& e) { e.height = e.width = ~0u; },
                 "expected 1 to 180000000 pixels");
  expect_refused([&](PackedEntry& e) { e.label = 2; }, "expected one of 2 classes and 2 splits");
  expect_refused([&](PackedEntry& e) { e.label = -1; }, "expected one of 2 classes and 2 splits");
  expect_refused([&](PackedEntry& e) { e.split = 2; }, "expected one of 2 classes and 2 splits");
  expect_refused([&](PackedEntry& e) { e.stored = 2; }, "entry 0");
}

TEST_F(Packed, FingerprintIsThatOfItsImages) {
  pack("p");
  pack("q");
  pack("r", {.side = 40});
  EXPECT_EQ(fingerprint(*open("p").train), fingerprint(*open("q").train));
  EXPECT_NE(fingerprint(*open("p").train), fingerprint(*open("r").train));
  EXPECT_NE(fingerprint(*open("p").train), fingerprint(*open("p").test));
}

// Crops of a mapped file, by any number of threads, resumed anywhere.
TEST_F(Packed, BatchesDoNotDependOnThreads) {
  pack("p");
  const DatasetPtr set = open("p", 24).train;
  const auto batches = [&](int threads, std::int64_t first) {
    Loader loader(set,
                  {.batch = 2, .pipeline = random_resized_crop, .seed = 5, .threads = threads});
    std::vector<float> values;
    loader.start(3, first);
    for (Batch batch; loader.next(batch);) {
      const float* begin = batch.images.as<float>();
      values.insert(values.end(), begin, begin + batch.images.numel());
    }
    return values;
  };
  const std::vector<float> one = batches(1, 0), later = batches(3, 1);
  ASSERT_EQ(one.size(), 5u * 3 * 24 * 24);
  EXPECT_EQ(batches(4, 0), one);
  EXPECT_TRUE(std::equal(later.begin(), later.end(), one.begin() + 2 * 3 * 24 * 24));
}

}  // namespace
}  // namespace hac
