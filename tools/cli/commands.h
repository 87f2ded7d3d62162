#pragma once
// The verbs of the command line: one function and one file each.

#include <string>

namespace CLI {
class App;
}

namespace hac {

// Each adds its verb to the program. `command` is what the user typed, for hints and reports; it
// outlives the program's parse.
void add_run(CLI::App& app, const std::string& command);
void add_train(CLI::App& app, const std::string& command);
void add_eval(CLI::App& app, const std::string& command);
void add_infer(CLI::App& app, const std::string& command);
void add_summary(CLI::App& app, const std::string& command);
void add_profile(CLI::App& app, const std::string& command);
void add_importance(CLI::App& app, const std::string& command);
void add_scale(CLI::App& app, const std::string& command);
void add_data(CLI::App& app, const std::string& command);
void add_report(CLI::App& app, const std::string& command);
void add_doctor(CLI::App& app, const std::string& command);

}  // namespace hac
