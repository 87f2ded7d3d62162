#pragma once
// What the parts of gpu_peaks share. The program needs CUDA's libraries and the standard library,
// nothing else, so it builds on a bare GPU machine.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace hac::peaks {

struct NoGpu : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws std::runtime_error naming the call.
void check(cudaError_t error, const char* call);

// One JSON object, in the order of its fields.
class Json {
 public:
  void text(const char* key, const std::string& value);
  void number(const char* key, double value);  // null unless finite
  void raw(const char* key, const std::string& json);
  std::string str() const { return "{" + fields_ + "}"; }

 private:
  std::string fields_;
};

// Device memory that is freed with it.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes);
  ~Buffer() { cudaFree(p_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* get() const { return p_; }

 private:
  void* p_ = nullptr;
};

// Median milliseconds by device events of `work`, given a stream, after three warm-up rounds.
double median_ms(cudaStream_t stream, int rounds, const std::function<void(cudaStream_t)>& work);

// The parts. Each prints its figures and returns them.
Json device_part(const std::string& describe);  // cuDNN's description goes to that file, if named
Json copy_part();
Json gemm_part();
Json launch_part();

// Kernels, in kernels.cu; n counts elements, of 16 bytes in a copy.
void copy16(const void* from, void* to, std::int64_t n, cudaStream_t stream);
// Uniform in [-1, 1): products of zeros run faster than real ones.
enum class Element { f32, bf16, f16 };
void fill_random(void* p, Element type, std::int64_t n, unsigned seed, cudaStream_t stream);
void empty_kernel(cudaStream_t stream);

}  // namespace hac::peaks
