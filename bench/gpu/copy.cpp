// Bandwidth of a copy inside the GPU's memory, bytes read plus bytes written. Sizes under the L2
// cache show what stays there.

#include <algorithm>
#include <cstdio>
#include <vector>

#include "bench/gpu/peaks.h"

namespace hac::peaks {
namespace {

// The last MiB that the last copy wrote, against what it read.
void verify(const Buffer& from, const Buffer& to, std::size_t bytes) {
  const std::size_t part = std::size_t{1} << 20, at = bytes - part;
  std::vector<char> expected(part), got(part);
  const auto fetch = [&](std::vector<char>& host, const Buffer& device) {
    check(cudaMemcpy(host.data(), static_cast<const char*>(device.get()) + at, part,
                     cudaMemcpyDeviceToHost),
          "copy to host");
  };
  fetch(expected, from);
  fetch(got, to);
  if (got != expected) throw std::runtime_error("copy: wrote other bytes than it read");
  check(cudaMemset(to.get(), 0xFF, bytes), "cudaMemset");
}

}  // namespace

Json copy_part() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  const std::size_t largest = std::min<std::size_t>(std::size_t{1} << 30, free / 4) & ~0xFFFFFul;
  const Buffer from(largest), to(largest);
  fill_random(from.get(), Element::f32, static_cast<std::int64_t>(largest / 4), 1, nullptr);
  std::string rows;
  double best = 0;
  std::printf("%10s  %14s  %14s\n", "MiB", "memcpy GB/s", "kernel GB/s");
  for (std::size_t bytes = std::size_t{1} << 20; bytes <= largest; bytes *= 4) {
    const auto rate = [&](const auto& work) {
      return 2e-6 * static_cast<double>(bytes) / median_ms(nullptr, 20, work);
    };
    const double memcpy_rate = rate([&](cudaStream_t s) {
      check(cudaMemcpyAsync(to.get(), from.get(), bytes, cudaMemcpyDeviceToDevice, s), "memcpy");
    });
    verify(from, to, bytes);
    const double kernel_rate = rate([&](cudaStream_t s) {
      copy16(from.get(), to.get(), static_cast<std::int64_t>(bytes / 16), s);
    });
    verify(from, to, bytes);
    std::printf("%10zu  %14.1f  %14.1f\n", bytes >> 20, memcpy_rate, kernel_rate);
    Json row;
    row.number("bytes", static_cast<double>(bytes));
    row.number("memcpy_gb_per_s", memcpy_rate);
    row.number("kernel_gb_per_s", kernel_rate);
    rows += (rows.empty() ? "" : ", ") + row.str();
    best = std::max(memcpy_rate, kernel_rate);  // the largest size is the memory's
  }
  Json json;
  json.number("gb_per_s", best);
  json.raw("sizes", "[" + rows + "]");
  return json;
}

}  // namespace hac::peaks
