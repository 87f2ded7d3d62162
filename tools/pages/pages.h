#pragma once
// The manual page and the completions of shells, written from what the command line says of itself:
// bin/hacscale_pages DIR writes hacscale.1, hacscale.bash and _hacscale.

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace hac::pages {

struct Option {
  std::vector<std::string> names;  // "-h", "--help"; none of an argument without a name
  std::string value;               // "FILE", "fast|exact"; "" of a switch
  std::string help;
  std::vector<std::string> choices;  // of the value, where they are few
};

struct Verb {
  std::string name;  // "" of the program itself
  std::string help, footer;
  std::vector<Option> arguments, options;
};

// The program itself, then its verbs in the order of --help. An option or argument called
// model or --model may be any of `models`.
std::vector<Verb> verbs_of(const CLI::App& program, const std::vector<std::string>& models);

std::string manual_page(const std::vector<Verb>& verbs);  // man(7)
std::string bash_completion(const std::vector<Verb>& verbs);
std::string zsh_completion(const std::vector<Verb>& verbs);

}  // namespace hac::pages
