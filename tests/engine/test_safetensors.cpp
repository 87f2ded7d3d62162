
#include <cstring>
#include <limits>

#include "engine/io/file.h"
#include "engine/io/safetensors.h"
#include "engine/tensor/storage.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + rest;
}

std::string file_of(const std::string& header, std::size_t data_bytes) {
  return with_length(header.size(), header + std::string(data_bytes, '\0'));
}

TensorFile parse(const std::string& bytes) { return parse_safetensors(bytes, "given"); }

Tensor floats(const std::vector<float>& values, const Shape& shape) {
  return Tensor::from(values, shape);
}

using Safetensors = InFolder;

TEST_F(Safetensors, RoundTripKeepsEveryBit) {
  const std::string path = folder.file("a.safetensors");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  TensorFile out;
  out.tensors["conv.weight"] = floats({1.5f, -0.f, nan, 1e-42f}, {2, 2, 1, 1});
  out.tensors["scalar"] = floats({3.f}, {});
  out.tensors["empty"] = Tensor::zeros({0, 3});
  out.tensors["labels"] = Tensor::from(std::vector<std::int32_t>{-1, 1 << 30}, {2});
  const Tensor bytes = Tensor::zeros({3}, Dtype::u8);
  bytes.as<std::uint8_t>()[1] = 255;
  out.tensors["bytes"] = bytes;
  out.metadata = {{"step", "12"}, {"text", "quoted \" \n \xc3\xa9"}};
  save_safetensors(path, out);

  const TensorFile in = load_safetensors(path);
  EXPECT_EQ(in.metadata, out.metadata);
  ASSERT_EQ(in.tensors.size(), out.tensors.size());
  for (const auto& [name, tensor] : out.tensors) {
    const Tensor& got = in.tensors.at(name);
    EXPECT_EQ(got.shape(), tensor.shape()) << name;
    EXPECT_EQ(got.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(std::memcmp(got.data(), tensor.data(), tensor.bytes()), 0) << name;
  }
  save_safetensors(folder.file("b.safetensors"), in);
  EXPECT_EQ(read_file(path), read_file(folder.file("b.safetensors")));
}

// The bytes as the format's own description has them.
TEST_F(Safetensors, WritesTheDocumentedBytes) {
  const std::string path = folder.file("a.safetensors");
  save_safetensors(path, {{{"w", floats({1.f, 2.f}, {2})}}, {{"k", "v"}}});
  std::string header =
      R"({"__metadata__":{"k":"v"},"w":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string data("\0\0\x80\x3f\0\0\0\x40", 8);
  EXPECT_EQ(read_file(path), with_length(header.size(), header + data));
}

TEST_F(Safetensors, BlockedTensorsAreWrittenPlain) {
  std::vector<float> values(2 * 5 * 3 * 3);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Tensor plain = floats(values, {2, 5, 3, 3});
  save_safetensors(folder.file("a"), {{{"x", plain.to(Layout::blocked16)}}, {}});
  const Tensor back = load_safetensors(folder.file("a")).tensors.at("x");
  EXPECT_EQ(back.layout(), Layout::plain);
  EXPECT_EQ(back.to_vector(), values);
}

TEST_F(Safetensors, NarrowsWideTypesThatFit) {
  const std::string header = R"({"d":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},)"
                             R"("n":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}})";
  const double d[2] = {0.1, -std::numeric_limits<double>::infinity()};
  const std::int64_t n = -7;
  std::string bytes = file_of(header, 24);
  std::memcpy(bytes.data() + bytes.size() - 24, d, 16);
  std::memcpy(bytes.data() + bytes.size() - 8, &n, 8);
  const TensorFile file = parse(bytes);
  EXPECT_EQ(file.tensors.at("d").to_vector()[0], 0.1f);
  EXPECT_EQ(file.tensors.at("d").to_vector()[1], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(file.tensors.at("n").dtype(), Dtype::i32);
  EXPECT_EQ(*file.tensors.at("n").as<std::int32_t>(), -7);

  const std::int64_t large = std::int64_t{1} << 31;
  std::memcpy(bytes.data() + bytes.size() - 8, &large, 8);
  EXPECT_THROW(parse(bytes), IoError);
  std::memcpy(bytes.data() + bytes.size() - 8, &n, 8);
  const double huge = 1e39;
  std::memcpy(bytes.data() + bytes.size() - 24, &huge, 8);
  EXPECT_THROW(parse(bytes), IoError);
}

std::string entry(const std::string& name, const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "F32") {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + "}";
}

// A file of one tensor.
std::string single(const std::string& shape, const std::string& offsets, std::size_t data_bytes,
                   const std::string& dtype = "F32") {
  return file_of("{" + entry("a", shape, offsets, dtype) + "}", data_bytes);
}

TEST_F(Safetensors, RefusesEveryCorruptionWithItsReason) {
  const std::string good = "{" + entry("a", "[2]", "[0,8]") + "}";
  const std::string deep = "{\"a\":" + std::string(100000, '[');
  const std::pair<const char*, std::string> corruptions[] = {
      {"8 bytes", ""},
      {"8 bytes", "1234567"},
      {"cut, or not a safetensors file", with_length(~std::uint64_t{0}, good)},
      {"cut, or not a safetensors file", with_length(1ull << 63, good)},
      {"cut, or not a safetensors file", with_length(good.size() + 1, good)},
      {"expected a JSON object", with_length(0, "")},
      {"not JSON", file_of("{\"a\":", 8)},
      {"not JSON", file_of("{\"\xff\":1}", 8)},
      {"expected a JSON object", file_of("[1]", 0)},
      {"nested too deep", file_of(deep, 0)},
      {"nested too deep", file_of(R"({"a":{"shape":[[1]]}})", 0)},
      {"is the file cut", file_of(good, 7)},
      {"unused bytes at the end", file_of(good, 9)},
      {"unused bytes before", single("[2]", "[4,12]", 12)},
      {"overlaps",
       file_of("{" + entry("a", "[2]", "[0,8]") + "," + entry("b", "[2]", "[4,12]") + "}", 12)},
      {"overlaps",
       file_of("{" + entry("a", "[2]", "[0,8]") + "," + entry("b", "[2]", "[0,8]") + "}", 8)},
      {"twice",
       file_of("{" + entry("a", "[2]", "[0,8]") + "," + entry("a", "[2]", "[8,16]") + "}", 16)},
      {"is the file cut", single("[2]", "[4294967296,4294967304]", 8)},
      {"needs 8 bytes", single("[2]", "[0,12]", 12)},
      {"needs 8 bytes", single("[2]", "[8,0]", 8)},
      {"needs 16 bytes", single("[2]", "[0,8]", 8, "F64")},
      {"needs 12 bytes", single("[3]", "[0,8]", 8)},
      {"two offsets", single("[2]", "[0]", 8)},
      {"two offsets", single("[2]", "[-8,0]", 8)},
      {"not JSON", single("[2]", "[0,1e400]", 8)},
      {"expected dtype", single("[2]", "[0,8]", 8, "F128")},
      {"expected dtype", file_of(R"({"a":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})", 8)},
      {"expected dtype", file_of(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8)},
      {"expected dtype", file_of(R"({"a":7})", 0)},
      {"at most 4 dims", single("[1,1,1,1,2]", "[0,8]", 8)},
      {"a list of sizes", single("2", "[0,8]", 8)},
      {"not a size", single("[-2]", "[0,8]", 8)},
      {"not a size", single("[2.0]", "[0,8]", 8)},
      {"overflows", single("[4611686018427387906]", "[0,8]", 8)},
      {"2^31 - 1", single("[2147483648,0]", "[0,0]", 0)},
      {"overflows", single("[2147483647,2147483647,2147483647,2]", "[0,8]", 8)},
      {"overflows", single("[2147483647,2147483647,2147483647,0]", "[0,0]", 0)},
      {"overflows", single("[2147483647,2147483647,2]", "[0,8]", 8)},
      {"twice", file_of(R"({"a":{"dtype":"U8","dtype":"I8","shape":[],"data_offsets":[0,1]}})", 1)},
      {"expected a JSON object", file_of("\xef\xbb\xbf" + good, 8)},
      {"expected a JSON object", file_of(" " + good, 8)},
      {"NUL", file_of(good + std::string(1, '\0'), 8)},
      {"NUL", file_of(good + std::string(1, '\0') + good, 8)},
      {"padded by spaces", file_of(good + "\n", 8)},
      {"__metadata__", file_of(R"({"__metadata__":[]})", 0)},
      {"__metadata__", file_of(R"({"__metadata__":{"a":1}})", 0)},
  };
  for (const auto& [what, bytes] : corruptions) {
    EXPECT_ERROR(parse(bytes), IoError, what, "'given'") << bytes.substr(0, 200);
  }
}

// By the definitions of the types: all of f16, and bf16 as the upper half of a float.
TEST_F(Safetensors, WidensSixteenBitNumbers) {
  const std::vector<float> values = {0, -0.f, 1, -1.5f, 65504, 6.103515625e-05f, 5.9604644775e-08f};
  const std::vector<std::uint16_t> f16 = {0, 0x8000, 0x3c00, 0xbe00, 0x7bff, 0x0400, 1};
  std::string bytes = file_of(
      "{" + entry("h", "[7]", "[0,14]", "F16") + "," + entry("b", "[3]", "[14,20]", "BF16") + "}  ",
      20);
  std::memcpy(bytes.data() + bytes.size() - 20, f16.data(), 14);
  const std::uint16_t bf16[3] = {0x3fc0, 0xff80, 1};
  std::memcpy(bytes.data() + bytes.size() - 6, bf16, 6);
  const TensorFile file = parse(bytes);
  ASSERT_EQ(file.tensors.at("h").dtype(), Dtype::f32);
  EXPECT_EQ(std::memcmp(file.tensors.at("h").data(), values.data(), 28), 0);
  EXPECT_EQ(file.tensors.at("b").to_vector(),
            (std::vector<float>{1.5f, -std::numeric_limits<float>::infinity(), 0x1p-133f}));
}

TEST_F(Safetensors, JudgesOnlyTheTensorsThatAreRead) {
  const std::string bytes = file_of(
      "{" + entry("mask", "[2]", "[0,2]", "BOOL") + "," + entry("n", "[1]", "[2,4]", "I16") + "," +
          entry("deep", "[1,1,1,1,1]", "[4,8]") + "," + entry("new", "[3]", "[8,9]", "F2_LATER") +
          "," + entry("long", "[4294967296,0]", "[9,9]") + "," + entry("w", "[1]", "[9,13]") + "}",
      13);
  const SafetensorsReader reader(bytes, "given");
  EXPECT_EQ(reader.tensors().size(), 6u);
  EXPECT_EQ(reader.tensors().at("deep").str(), "F32 (1, 1, 1, 1, 1)");
  EXPECT_EQ(reader.read("w").item(), 0.f);
  const std::pair<const char*, const char*> refused[] = {
      {"mask", "BOOL (2)"}, {"n", "I16"},         {"deep", "at most 4 dims"},
      {"new", "F2_LATER"},  {"long", "2^31 - 1"}, {"none", "not there"}};
  for (const auto& [name, what] : refused) {
    const std::string message = message_of<IoError>([&] { reader.read(name); });
    EXPECT_CONTAINS(message, what) << name;
    EXPECT_CONTAINS(message, name);
  }
}

// Every prefix of a good file, and every single flipped bit, parses or is an IoError.
TEST_F(Safetensors, NeverReadsOutsideAFileThatIsCutOrFlipped) {
  const std::string good =
      file_of("{" + entry("a", "[2]", "[0,8]") + "," + entry("b", "[3]", "[8,11]", "U8") + "}", 11);
  ASSERT_NO_THROW(parse(good));
  const auto attempt = [](const std::string& bytes) {
    // A buffer of exactly this size, so that the address sanitizer sees one byte too far.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    try {
      parse_safetensors({exact.data(), exact.size()}, "given");
      return true;
    } catch (const IoError&) {
      return false;
    }
  };
  for (std::size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(attempt(good.substr(0, n))) << n;
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    attempt(flipped);
  }
}

// A file of 5 GiB that is nearly all hole: only the memory limit keeps it from being read.
TEST_F(Safetensors, TheFileIsTheOnlyBoundOfItsSize) {
  const std::string path = folder.file("large");
  const std::uint64_t large = 5ull << 30;
  const std::string header = "{" + entry("a", "[2]", "[0,8]") + "," +
                             entry("b", "[5,1073741824]", "[8,5368709128]", "U8") + "}";
  write_file_atomically(path, file_of(header, 0));
  std::error_code error;
  std::filesystem::resize_file(path, 8 + header.size() + 8 + large, error);
  if (error) GTEST_SKIP() << "no files of 5 GiB here: " << error.message();
  set_memory_limit(64 << 20);
  EXPECT_THROW(load_safetensors(path), OutOfMemory);
  set_memory_limit(0);
  std::filesystem::resize_file(path, 8 + header.size() + 9 + large);
  EXPECT_THROW(load_safetensors(path), IoError) << "a byte too many";
}

TEST_F(Safetensors, AFullDiskLeavesTheOldFile) {
  const std::string path = folder.file("a.safetensors");
  save_safetensors(path, {{{"w", floats({1.f}, {1})}}, {}});
  {
    const FullDisk full(1 << 16);
    EXPECT_THROW(save_safetensors(path, {{{"w", Tensor::zeros({1 << 16})}}, {}}), IoError);
  }
  EXPECT_EQ(load_safetensors(path).tensors.at("w").item(), 1.f);
  EXPECT_EQ(folder.files(), 1u) << "a temporary file is left";
}

TEST_F(Safetensors, SaysWhatItCannotWriteOrFind) {
  EXPECT_THROW(load_safetensors(folder.file("missing")), IoError);
  EXPECT_THROW(save_safetensors(folder.file("none/a"), {}), IoError);
  EXPECT_THROW(save_safetensors(folder.file("a"), {{}, {{"k", "\xff"}}}), IoError);
  const Tensor half = Tensor::zeros({2}, Dtype::bf16);
  EXPECT_THROW(save_safetensors(folder.file("a"), {{{"h", half}}, {}}), IoError);
  EXPECT_EQ(folder.files(), 0u);
}

}  // namespace
}  // namespace hac
