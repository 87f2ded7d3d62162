// gpu_peaks --part device|copy|gemm|launch [--json FILE] [--describe FILE]: the ceilings of the GPU
// that other figures are a fraction of. Exit codes: 0, 1 failed, 2 usage, 3 no GPU.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "bench/gpu/peaks.h"

namespace hac::peaks {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  const std::string text = std::string(call) + ": " + cudaGetErrorString(error);
  if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver) throw NoGpu(text);
  throw std::runtime_error(text);
}

void Json::text(const char* key, const std::string& value) {
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  raw(key, quoted + "\"");
}

void Json::number(const char* key, double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.10g", value);
  raw(key, std::isfinite(value) ? text : "null");
}

void Json::raw(const char* key, const std::string& json) {
  fields_ += (fields_.empty() ? "\"" : ", \"") + std::string(key) + "\": " + json;
}

Buffer::Buffer(std::size_t bytes) { check(cudaMalloc(&p_, bytes), "cudaMalloc"); }

double median_ms(cudaStream_t stream, int rounds, const std::function<void(cudaStream_t)>& work) {
  cudaEvent_t start = nullptr, stop = nullptr;
  check(cudaEventCreate(&start), "cudaEventCreate");
  check(cudaEventCreate(&stop), "cudaEventCreate");
  std::vector<float> times;
  for (int i = -3; i < rounds; ++i) {
    check(cudaEventRecord(start, stream), "cudaEventRecord");
    work(stream);
    check(cudaEventRecord(stop, stream), "cudaEventRecord");
    check(cudaEventSynchronize(stop), "cudaEventSynchronize");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, start, stop), "cudaEventElapsedTime");
    if (i >= 0) times.push_back(ms);
  }
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[rounds / 2];
}

}  // namespace hac::peaks

namespace {

int usage() {
  std::fprintf(stderr,
               "usage: gpu_peaks --part device|copy|gemm|launch [--json FILE] [--describe FILE]\n");
  return 2;
}

bool write(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && whole;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace hac::peaks;
  std::string part, json, describe;
  for (int i = 1; i < argc; i += 2) {
    std::string* value = std::strcmp(argv[i], "--part") == 0       ? &part
                         : std::strcmp(argv[i], "--json") == 0     ? &json
                         : std::strcmp(argv[i], "--describe") == 0 ? &describe
                                                                   : nullptr;
    if (value == nullptr || i + 1 == argc) return usage();
    *value = argv[i + 1];
  }
  try {
    const bool known = part == "device" || part == "copy" || part == "gemm" || part == "launch";
    if (!known) return usage();
    int count = 0;
    check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
    const Json result = part == "device" ? device_part(describe)
                        : part == "copy" ? copy_part()
                        : part == "gemm" ? gemm_part()
                                         : launch_part();
    if (!json.empty() && !write(json, result.str() + "\n")) {
      throw std::runtime_error("file '" + json + "': cannot be written");
    }
    return 0;
  } catch (const NoGpu& e) {
    std::fprintf(stderr, "gpu_peaks: no GPU: %s\n", e.what());
    return 3;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gpu_peaks: %s\n", e.what());
    return 1;
  }
}
