#pragma once
// Libraries of the program's own that it opens only where they are needed, so that it runs without
// what they are linked to.

#include <string>

namespace hac {

// The function of that name, of "libhacscale_mpi.so" beside the program or where a package puts it,
// which is never closed. Null, and why: "'...' cannot be opened: ...".
void* find_in_module(const char* library, const char* function, std::string& why);

}  // namespace hac
