#pragma once
// What AddressSanitizer must be told of memory and stacks that are not the system's; nothing in
// other builds.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define HAC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAC_ASAN 1
#endif
#endif

#ifdef HAC_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace hac::simt::asan {

#ifdef HAC_ASAN
inline constexpr bool enabled = true;

inline void poison(void* p, std::size_t bytes) { __asan_poison_memory_region(p, bytes); }
inline void unpoison(void* p, std::size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
inline bool poisoned(const void* p) { return __asan_address_is_poisoned(p) != 0; }

// Around a switch of stacks: leave() before it on the old stack, with the new one's bottom and
// size; arrive() behind it on the new one, with what that one's last leave() put into state.
inline void leave(void** state, const void* bottom, std::size_t bytes) {
  __sanitizer_start_switch_fiber(state, bottom, bytes);
}
inline void arrive(void* state, const void** old_bottom, std::size_t* old_bytes) {
  __sanitizer_finish_switch_fiber(state, old_bottom, old_bytes);
}
#else
inline constexpr bool enabled = false;

inline void poison(void*, std::size_t) {}
inline void unpoison(void*, std::size_t) {}
inline bool poisoned(const void*) { return false; }
inline void leave(void**, const void*, std::size_t) {}
inline void arrive(void*, const void**, std::size_t*) {}
#endif

}  // namespace hac::simt::asan
