#pragma once
// Denormal numbers cost a hundred times as much as others on some processors, and what fades out
// (velocities of dead filters, weights under decay) stays among them for ever.

namespace hac {

// From here on the calling thread reads denormals as zero (DAZ) and writes zero for them (FTZ), by
// x86's MXCSR or aarch64's FPCR. Threads that it starts inherit this. A Context sets its thread,
// set_num_threads() the OpenMP team as well, a loader its own threads.
void flush_denormals();

}  // namespace hac
