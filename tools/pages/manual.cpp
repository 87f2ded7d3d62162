#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/pages/pages.h"

namespace hac::pages {
namespace {

// Text that no macro begins in: "\" and "-" escaped, a line that begins with "." or "'" too.
std::string escaped(const std::string& text) {
  std::string out;
  bool begins = true;
  for (const char c : text) {
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
    begins = c == '\n';
  }
  return out;
}

std::string bold(const std::string& text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string options_of(const Verb& verb) {
  std::string text;
  for (const Option& o : verb.options) {
    std::vector<std::string> names;
    for (const std::string& name : o.names) names.push_back(bold(name));
    text += fmt::format(".TP\n{}{}\n{}\n", fmt::join(names, ", "),
                        o.value.empty() ? "" : " " + italic(o.value), escaped(o.help));
  }
  return text;
}

std::string verb_text(const Verb& verb) {
  std::string usage = bold("hacscale " + verb.name);
  if (!verb.options.empty()) usage += " [" + italic("options") + "]";
  for (const Option& argument : verb.arguments) usage += " " + italic(argument.value);
  std::string text =
      fmt::format(".SS {}\n{}.\n.PP\n{}\n", escaped(verb.name), escaped(verb.help), usage);
  for (const Option& argument : verb.arguments) {
    text += fmt::format(".TP\n{}\n{}\n", italic(argument.value), escaped(argument.help));
  }
  text += options_of(verb);
  if (!verb.footer.empty()) text += ".PP\n.nf\n" + escaped(verb.footer) + "\n.fi\n";
  return text;
}

}  // namespace

std::string manual_page(const std::vector<Verb>& verbs) {
  const Verb& program = verbs.front();
  std::string text = fmt::format(
      ".TH HACSCALE 1 \"\" \"hacscale {}\" \"User Commands\"\n.SH NAME\nhacscale \\- {}\n"
      ".SH SYNOPSIS\n{} {} [{}]\n.SH DESCRIPTION\n{}\n.SH OPTIONS\n{}.SH COMMANDS\n",
      HAC_VERSION, escaped("make a convolutional network better for a device"), bold("hacscale"),
      italic("command"), italic("options"), escaped(program.help + "\n" + program.footer),
      options_of(program));
  for (std::size_t i = 1; i < verbs.size(); ++i) text += verb_text(verbs[i]);
  return text;
}

}  // namespace hac::pages
