#pragma once
// The loops that measure what a core does at most, for the registers of the instruction set in use.

#include <cstdint>

namespace hac::cpu {

struct CeilingLoops {
  int macs;  // of a round
  // Independent chains of fused multiply-adds that never leave the registers. The result depends on
  // all of them.
  float (*multiply_add)(std::int64_t rounds, float seed);
  // The sum of n floats, read as several streams side by side.
  float (*read)(const float* data, std::int64_t n);
};
extern const CeilingLoops ceiling_loops;

}  // namespace hac::cpu
