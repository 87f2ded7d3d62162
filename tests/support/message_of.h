#pragma once

#include <string>

namespace hac {

// What f throws as an E says; "" if it throws nothing.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "";
}

}  // namespace hac
