#pragma once
// What an error or an output says.

#include <gtest/gtest.h>

#include <initializer_list>
#include <stdexcept>
#include <string>

#include "kernels/core/error.h"

namespace hac {

// What f throws as an E says; "" if it throws nothing.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

// The same where f must throw one, and nothing else.
template <class E, class F>
std::string error_of(F&& f) {
  try {
    f();
    ADD_FAILURE() << "no error";
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
  }
  return "";
}

// With the first `from`, which must be there, as `to`.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == text.npos) throw std::logic_error("no '" + from + "' in: " + text.substr(0, 4000));
  return text.replace(at, from.size(), to);
}

inline ::testing::AssertionResult holds_parts(const std::string& text, bool wanted,
                                              std::initializer_list<std::string> parts) {
  for (const std::string& part : parts) {
    if ((text.find(part) != std::string::npos) == wanted) continue;
    return ::testing::AssertionFailure()
           << (wanted ? "no '" : "an unwanted '") << part << "' in: " << text.substr(0, 4000);
  }
  return ::testing::AssertionSuccess();
}
// All of the parts, in any order, in a text or in the error of a statement; none of them.
#define EXPECT_CONTAINS(text, ...) EXPECT_TRUE(::hac::holds_parts(text, true, {__VA_ARGS__}))
#define EXPECT_ERROR(statement, E, ...) \
  EXPECT_CONTAINS(::hac::error_of<E>([&] { statement; }), __VA_ARGS__)
#define EXPECT_LACKS(text, ...) EXPECT_TRUE(::hac::holds_parts(text, false, {__VA_ARGS__}))

}  // namespace hac
