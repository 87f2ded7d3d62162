#pragma once
// The verbs of the command line: one function and one file each.

#include <string>

namespace CLI {
class App;
}

namespace hac {

// In the order of --help. Each is a file, VERB.cpp, which defines add_VERB().
#define HAC_VERBS(verb)                                                                          \
  verb(run) verb(train) verb(eval) verb(infer) verb(export) verb(import) verb(summary)           \
      verb(profile) verb(importance) verb(latency_table) verb(calibrate) verb(sweep) verb(scale) \
          verb(compare) verb(explain) verb(table1) verb(report) verb(data) verb(doctor)

// Adds its verb to the program. `command` is what the user typed, for hints and reports; it
// outlives the program's parse.
#define HAC_DECLARE_VERB(name) void add_##name(CLI::App& app, const std::string& command);
HAC_VERBS(HAC_DECLARE_VERB)
#undef HAC_DECLARE_VERB

}  // namespace hac
