#pragma once
// Whole files, read with a bound and written atomically.

#include <cstdint>
#include <string>
#include <string_view>

namespace hac {

// Throws IoError: missing, unreadable, or larger than max_bytes.
std::string read_file(const std::string& path, std::uint64_t max_bytes = 1ull << 32);
// Temporary name in the same folder, fsync, rename. Throws IoError; the old file is intact then.
void write_file_atomically(const std::string& path, std::string_view bytes);
// Removes the temporary files that killed processes left in a folder; those of running ones stay.
// The folder belongs to one machine: what runs elsewhere is taken for dead.
void remove_leftovers(const std::string& folder);
// Creates the folder and its parents. Throws IoError when it cannot or is not writable.
void make_folder(const std::string& path);
// Throws the same error, and makes nothing: to know before hours of work.
void require_makeable(const std::string& folder);
// Throws IoError unless a file can be written there: its folder exists and is writable.
void require_writable_file(const std::string& path);

}  // namespace hac
