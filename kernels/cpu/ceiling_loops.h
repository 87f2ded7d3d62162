#pragma once
// The loops that measure what a core does at most, for the registers of the instruction set in use.

#include <cstddef>
#include <cstdint>

namespace hac::cpu {

struct CeilingLoops {
  int macs;  // of a round
  // Independent chains of fused multiply-adds that never leave the registers. The result depends on
  // all of them.
  float (*multiply_add)(std::int64_t rounds, float seed);
  int bf16_macs;  // of a round
  // The same of dot products of bf16 pairs, summed in f32; only where has_bf16().
  float (*multiply_add_bf16)(std::int64_t rounds, float seed);
  // The sum of n floats, read as several streams side by side.
  float (*read)(const float* data, std::int64_t n);
};
extern const CeilingLoops ceiling_loops;

// Floats that measure_bandwidth_gbs reads at a time, and how many such slices it reads in turn, so
// that each was driven out of the caches before it is read again: four times the last level, at
// least 256 MiB, at most half of the memory that is free. 0 where that is less than twice the cache
// or than two slices. Both in bytes.
constexpr std::int64_t bandwidth_slice = std::int64_t{8} << 20;
std::int64_t bandwidth_slices(std::size_t last_level_cache, std::size_t free);

}  // namespace hac::cpu
