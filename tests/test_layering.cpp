// The direction of every #include, folder by folder and room by room; vendor headers only in their
// adapters, heavy libraries only in .cpp files.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace hac {
namespace {

namespace fs = std::filesystem;

// From the lowest to the highest: a room includes itself and what stands before it.
// clang-format off
const std::vector<std::string> rooms = {
    "kernels/core",  "kernels/cpu",     "kernels/simt",       "kernels/cuda",    "kernels/device",
    "kernels/ops",   "engine/tensor",   "engine/io",          "engine/device",   "engine/parallel",
    "engine/autograd", "engine/nn",     "engine/optim",       "data/image",      "data/sets",
    "data/loader",   "models/arch",     "models/zoo",         "models",          "models/train",
    "models/deploy", "scaling",         "scaling/importance", "scaling/latency", "scaling/methods",
    "scaling/paper", "scaling/measure", "scaling/experiment", "scaling/api",     "tools/report",
    "tools/cli",     "tools/pages",     "tools/examples"};
// clang-format on
const std::vector<std::string> layers = {"kernels", "engine", "data", "models", "scaling", "tools"};

// The place in the list of the room that a path lies in, -1 if in none.
int rank_of(const std::string& path) {
  int best = -1;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < rooms.size(); ++i) {
    if (!path.starts_with(rooms[i] + "/") || rooms[i].size() <= longest) continue;
    best = static_cast<int>(i);
    longest = rooms[i].size();
  }
  return best;
}

// What is wrong with this include in this file, or "".
std::string objection(const std::string& file, const std::string& include) {
  const auto starts = [&](const char* prefix) { return file.rfind(prefix, 0) == 0; };
  const int own = rank_of(file), theirs = rank_of(include);
  if (own < 0) return "a file in no room";
  if (theirs > own) return "a lower room includes a higher one";
  const std::string folder = include.substr(0, include.find('/'));
  if (folder == "tests" || folder == "bench") return "nobody includes tests or benchmarks";
  if (include.find("..") != std::string::npos) return "includes are written from the root";

  const auto is = [&](const char* pattern) {
    return std::regex_search(include, std::regex(pattern));
  };
  // Operations reach them by way of the adapters' own headers.
  if (is("dnnl") && !starts("kernels/cpu/")) return "oneDNN outside its adapter";
  if (is("^Eigen/") && starts("kernels/") && file != "kernels/cpu/no_onednn.cpp") {
    return "Eigen beside oneDNN";
  }
  if (is("^(cuda|cudnn|cublas|nccl|nvml)") && !starts("kernels/cuda/") &&
      !(is("^(nccl|cuda_runtime)\\.h$") && starts("engine/parallel/nccl/"))) {
    return "CUDA outside its adapter";
  }
  if (is("^mpi\\.h$") && !starts("engine/parallel/mpi/")) return "MPI outside its library";
  const bool header = file.ends_with(".h") || file.ends_with(".cu") || file.ends_with(".cuh");
  if (header && is("^(nlohmann/json\\.hpp|Eigen|CLI|toml)")) return "a heavy library in a header";
  if (file.ends_with(".cu") && is("^fmt/")) return "fmt does not compile in device code";
  const bool images = file == "data/image/jpeg.cpp" || file == "data/image/jpeg_encode.cpp" ||
                      file == "data/image/png.cpp" || file == "data/image/png_encode.cpp" ||
                      file == "data/sets/gzip.cpp";
  if (is("^(jpeglib|jerror|png|zlib)\\.h$") && !images) return "an image library outside data";
  if (is("^(onnx|google)/") && !starts("models/deploy/onnx_")) return "ONNX outside its adapter";
  if (is("^CLI/") && !starts("tools/cli/") && !starts("tools/pages/"))
    return "the command line outside tools";
  return "";
}

std::vector<std::string> includes_of(const fs::path& path) {
  static const std::regex form(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])");
  std::vector<std::string> found;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_search(line, match, form)) found.push_back(match[1]);
  }
  return found;
}

TEST(Layering, EveryIncludePointsDown) {
  const fs::path root = HAC_SOURCE_DIR;
  int files = 0;
  for (const std::string& layer : layers) {
    for (const auto& entry : fs::recursive_directory_iterator(root / layer)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh")
        continue;
      ++files;
      const std::string file = fs::relative(entry.path(), root).generic_string();
      for (const std::string& include : includes_of(entry.path()))
        EXPECT_EQ(objection(file, include), "") << file << " includes " << include;
    }
  }
  EXPECT_GT(files, 40) << "the sources were not found";
}

// Tests and benchmarks may include anything of ours, but the vendors' headers only by way of it.
TEST(Layering, CudnnAndOneDnnStayInTheirAdapters) {
  const fs::path root = HAC_SOURCE_DIR;
  const std::regex vendor("^(cudnn|dnnl|oneapi/)");
  int files = 0;
  for (const char* folder : {"tests", "bench"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      for (const std::string& include : includes_of(entry.path())) {
        EXPECT_FALSE(std::regex_search(include, vendor)) << entry.path() << " includes " << include;
      }
    }
  }
  EXPECT_GT(files, 40) << "the sources were not found";
}

// fmt::print() and streams throw or stop at a stderr that cannot be written; print() does not.
TEST(Layering, MessagesGoThroughOneFunction) {
  const fs::path root = HAC_SOURCE_DIR;
  const std::regex other(R"((fmt::print|fprintf)\(stderr|std::c(err|log)\b)");
  for (const std::string& layer : layers) {
    for (const auto& entry : fs::recursive_directory_iterator(root / layer)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        EXPECT_FALSE(std::regex_search(line, other))
            << entry.path() << ": " << line << " (hint: engine/io/print.h)";
      }
    }
  }
}

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A README of its own, or a section of its folder's that begins with its name.
TEST(Layering, EveryRoomHasAPageThatNamesItsHeaders) {
  const fs::path root = HAC_SOURCE_DIR;
  for (const std::string& room : rooms) {
    const std::size_t slash = room.find('/');
    if (slash == std::string::npos) continue;
    std::string page = text_of(root / room / "README.md");
    if (page.empty()) {
      page = text_of(root / room.substr(0, slash) / "README.md");
      const std::size_t at = page.find("# " + room.substr(slash + 1) + "/");
      ASSERT_NE(at, std::string::npos) << room;
      page = page.substr(at, page.find("\n## ", at) - at);
    }
    for (const auto& entry : fs::directory_iterator(root / room)) {
      const std::string name = entry.path().stem().string();
      if (entry.path().extension() != ".h") continue;
      EXPECT_NE(page.find(name), std::string::npos) << room << "/" << name << ".h";
    }
  }
}

TEST(Layering, TheRuleItselfObjects) {
  EXPECT_NE(objection("kernels/core/a.h", "engine/tensor/tensor.h"), "");
  EXPECT_NE(objection("kernels/core/a.h", "kernels/ops/conv2d.h"), "");
  EXPECT_NE(objection("engine/io/a.cpp", "models/model.h"), "");
  EXPECT_NE(objection("models/arch/a.h", "models/model.h"), "");
  EXPECT_NE(objection("tools/cli/a.cpp", "tests/support/reference.h"), "");
  EXPECT_NE(objection("engine/io/a.cpp", "dnnl.hpp"), "");
  EXPECT_NE(objection("models/arch/a.cpp", "oneapi/dnnl/dnnl.hpp"), "");
  EXPECT_NE(objection("kernels/cpu/a.cpp", "cudnn.h"), "");
  EXPECT_NE(objection("kernels/ops/linear_eigen_cpu.cpp", "Eigen/Core"), "");
  EXPECT_NE(objection("kernels/ops/a_cpu.cpp", "dnnl.hpp"), "");
  EXPECT_NE(objection("kernels/ops/a_cuda.cpp", "cuda_runtime.h"), "");
  EXPECT_NE(objection("engine/io/a.h", "nlohmann/json.hpp"), "");
  EXPECT_NE(objection("models/arch/a.cpp", "CLI/CLI.hpp"), "");
  EXPECT_NE(objection("models/deploy/onnx.h", "onnx/onnx_pb.h"), "");
  EXPECT_NE(objection("data/image/decode.cpp", "jpeglib.h"), "");
  EXPECT_NE(objection("engine/optim/a.cpp", "../tensor.h"), "");
  EXPECT_NE(objection("engine/parallel/a.cpp", "mpi.h"), "");
  EXPECT_EQ(objection("engine/parallel/mpi/a.cpp", "mpi.h"), "");
  EXPECT_NE(objection("engine/parallel/a.cpp", "nccl.h"), "");
  EXPECT_EQ(objection("engine/parallel/nccl/a.cpp", "nccl.h"), "");
  EXPECT_NE(objection("engine/a.cpp", "kernels/core/types.h"), "") << "it lies in no room";
  EXPECT_EQ(objection("engine/io/a.cpp", "nlohmann/json.hpp"), "");
  EXPECT_EQ(objection("scaling/latency/a.cpp", "kernels/core/types.h"), "");
  EXPECT_EQ(objection("kernels/cpu/library.h", "dnnl.hpp"), "");
  EXPECT_EQ(objection("kernels/ops/conv2d_cpu.cpp", "kernels/cpu/library.h"), "");
}

}  // namespace
}  // namespace hac
