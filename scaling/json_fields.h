#pragma once
// Reading JSON as hostile input: every field is present, of its type, finite and in range, and no
// unknown field passes. Private to the .cpp files of this folder.
// Errors: ConfigError "<what>: expected ..., got ...".

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace hac {

using Json = nlohmann::ordered_json;

// An object, from text.
Json parse_json(const std::string& text, const std::string& what);
// Exactly these keys.
void expect_keys(const Json& object, std::initializer_list<const char*> keys,
                 const std::string& what);

double number_field(const Json& object, const char* key, double low, double high,
                    const std::string& what);
std::int64_t integer_field(const Json& object, const char* key, std::int64_t low, std::int64_t high,
                           const std::string& what);
std::string text_field(const Json& object, const char* key, const std::string& what);
const Json& array_field(const Json& object, const char* key, std::size_t max_size,
                        const std::string& what);
std::vector<double> numbers_field(const Json& object, const char* key, std::size_t max_size,
                                  const std::string& what);
// Null for infinity, which JSON cannot write.
Json limit_json(double value);

}  // namespace hac
