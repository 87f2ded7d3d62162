#pragma once
// The command line as a whole: what main() parses, and what the manual page and the completions are
// written from (tools/pages/).

#include <string>

namespace CLI {
class App;
}

namespace hac {

// `command` as for the verbs (commands.h).
void describe_program(CLI::App& app, const std::string& command);

}  // namespace hac
