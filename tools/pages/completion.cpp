#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/pages/pages.h"

namespace hac::pages {
namespace {

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

std::vector<std::string> names_of(const Verb& verb) {
  std::vector<std::string> names;
  for (const Option& o : verb.options) names.insert(names.end(), o.names.begin(), o.names.end());
  return names;
}

// For zsh: text of a description in [] within '...'.
std::string quoted(std::string text) {
  text = text.substr(0, text.find('\n'));
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out +=
          c == '[' || c == ']' || c == ':' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
  }
  return out;
}

std::string zsh_values(const Option& o) {
  return o.choices.empty() ? "_files" : "(" + joined(o.choices) + ")";
}

std::string zsh_spec(const Option& o) {
  std::string text;
  for (const std::string& name : o.names) {
    const bool words = name.starts_with("--") && !o.value.empty();
    text += fmt::format(" \\\n      '{}{}[{}]{}'", name, words ? "=" : "", quoted(o.help),
                        o.value.empty() ? "" : ":" + quoted(o.value) + ":" + zsh_values(o));
  }
  return text;
}

// Of the verbs alone, behind the program itself.
std::vector<std::string> verb_names(const std::vector<Verb>& verbs) {
  std::vector<std::string> names;
  for (std::size_t i = 1; i < verbs.size(); ++i) names.push_back(verbs[i].name);
  return names;
}

}  // namespace

std::string bash_completion(const std::vector<Verb>& verbs) {
  std::string words_of, values_of;
  for (const Verb& verb : verbs) {
    std::vector<std::string> words = names_of(verb);
    const std::vector<std::string> first = verb.name.empty()        ? verb_names(verbs)
                                           : verb.arguments.empty() ? std::vector<std::string>()
                                                                    : verb.arguments[0].choices;
    words.insert(words.end(), first.begin(), first.end());
    words_of += fmt::format("    '{}') words='{}' ;;\n", verb.name, joined(words));
    for (const Option& o : verb.options) {
      for (const std::string& name : o.names) {
        if (o.value.empty()) continue;
        values_of +=
            fmt::format("    '{} {}') words='{}' ;;\n", verb.name, name, joined(o.choices));
      }
    }
  }
  return fmt::format(
      R"(# bash completion of hacscale, written from its own description (hacscale_pages)
_hacscale() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} verb='' words
  ((COMP_CWORD > 1)) && verb=${{COMP_WORDS[1]}}
  case "$verb $previous" in
{}    *) case "$verb" in
{}    esac ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o bashdefault -o default -F _hacscale hacscale
)",
      values_of, words_of);
}

std::string zsh_completion(const std::vector<Verb>& verbs) {
  std::string cases;
  for (std::size_t i = 1; i < verbs.size(); ++i) {
    const Verb& verb = verbs[i];
    std::string specs;
    for (const Option& o : verb.options) specs += zsh_spec(o);
    if (!verb.arguments.empty()) {
      specs += fmt::format(" \\\n      '*:{}:{}'", quoted(verb.arguments[0].value),
                           zsh_values(verb.arguments[0]));
    }
    cases += fmt::format("    {})\n      _arguments{} ;;\n", verb.name, specs);
  }
  return fmt::format(
      R"(#compdef hacscale
# zsh completion of hacscale, written from its own description (hacscale_pages)
local context state line
_arguments -C '1:command:({})' '*::argument:->verb'
if [[ $state == verb ]]; then
  case "$words[1]" in
{}  esac
fi
)",
      joined(verb_names(verbs)), cases);
}

}  // namespace hac::pages
