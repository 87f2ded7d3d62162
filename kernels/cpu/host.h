#pragma once
// What devices share whose memory is the host's and whose work is done at once: the CPU and simt.

#include <cstddef>
#include <string>

#include "kernels/core/runtime.h"

namespace hac::host {

// MemAvailable, or what the limit of this process's control group, or of one above it, leaves.
DeviceMemory memory(Device device);
// The same with the files in other folders, for tests; "" for what a root has not.
DeviceMemory memory_in(const std::string& root);
// The processor's name, else the board's ("Raspberry Pi 5 Model B Rev 1.0"), else the numbers of
// its implementer and part; "" if there is none.
std::string cpu_name_in(const std::string& root);
void copy(void* to, const void* from, std::size_t bytes);
void zero(void* p, std::size_t bytes);
// Events by the host's clock.
Event event_record(Context& ctx);
double elapsed_ms(Context& ctx, const Event& from, const Event& to);

}  // namespace hac::host
