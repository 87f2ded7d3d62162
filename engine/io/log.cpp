#include "engine/io/log.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/io/file.h"

namespace hac {
namespace {

bool keep(std::string_view line, std::int64_t last_step) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) return false;
  const auto type = object.find("type");
  if (type != object.end() && *type == "result") return false;
  const auto step = object.find("step");
  return step == object.end() || !step->is_number() || step->get<double>() <= last_step;
}

// The complete lines of the old log up to a step.
std::string kept_lines(const std::string& path, std::int64_t last_step) {
  if (!std::filesystem::exists(path)) return "";
  const std::string old = read_file(path);
  std::string kept;
  for (std::size_t at = 0, end; (end = old.find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string_view line(old.data() + at, end - at);
    if (keep(line, last_step)) kept.append(line) += '\n';
  }
  return kept;
}

// As far as they are kept; the size of the new file.
std::uint64_t rewrite(const std::string& path, std::optional<std::int64_t> resume_step) {
  const std::string kept = resume_step ? kept_lines(path, *resume_step) : "";
  write_file_atomically(path, kept);
  return kept.size();
}

}  // namespace

JsonLog::JsonLog(const std::string& path, std::optional<std::int64_t> resume_step)
    : file_(path, rewrite(path, resume_step)) {}

}  // namespace hac
