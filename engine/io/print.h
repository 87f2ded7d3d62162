#pragma once
// What the program says. Output never ends the work: what a stream does not take is lost, and
// nothing else. Whether stdout took the result is for main() to ask at the end.

#include <cstdio>
#include <string_view>

namespace hac {

// The text as it is. Never throws, sets no error but the stream's own.
void print(std::FILE* out, std::string_view text);

// For the start of the program. Writing to a pipe that nobody reads becomes an error of the stream
// instead of a death, and a standard stream that the caller closed one that fails: otherwise the
// next file that is opened would take its place, and messages would end in a checkpoint.
void guard_standard_streams();

}  // namespace hac
