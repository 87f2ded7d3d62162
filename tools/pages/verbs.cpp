#include <CLI/CLI.hpp>
#include <sstream>

#include "tools/pages/pages.h"

namespace hac::pages {
namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::istringstream words(text);
  std::vector<std::string> all;
  for (std::string word; std::getline(words, word, at);) all.push_back(word);
  return all;
}

Option option_of(const CLI::Option& o, const std::vector<std::string>& models) {
  Option option{.names = {}, .value = "", .help = o.get_description(), .choices = {}};
  for (const std::string& name : o.get_snames()) option.names.push_back("-" + name);
  for (const std::string& name : o.get_lnames()) option.names.push_back("--" + name);
  if (o.get_items_expected_max() > 0) option.value = o.get_type_name();
  option.value = option.value.substr(0, option.value.find(":{"));  // CLI11 says choices again
  if (option.value.find('|') != std::string::npos) option.choices = split(option.value, '|');
  if (o.check_lname("model") || o.get_name(true) == "model") option.choices = models;
  return option;
}

Verb verb_of(const CLI::App& app, const std::string& name, const std::vector<std::string>& models) {
  Verb verb{.name = name,
            .help = app.get_description(),
            .footer = app.get_footer(),
            .arguments = {},
            .options = {}};
  for (const CLI::Option* o : app.get_options()) {
    const Option option = option_of(*o, models);
    if (o->nonpositional()) verb.options.push_back(option);
    if (!o->get_positional()) continue;
    verb.arguments.push_back(option);
    verb.arguments.back().value = o->get_name(true);
  }
  return verb;
}

}  // namespace

std::vector<Verb> verbs_of(const CLI::App& program, const std::vector<std::string>& models) {
  std::vector<Verb> all{verb_of(program, "", models)};
  for (const CLI::App* verb : program.get_subcommands({})) {
    all.push_back(verb_of(*verb, verb->get_name(), models));
  }
  return all;
}

}  // namespace hac::pages
