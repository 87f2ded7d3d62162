// The program: parses the command line, runs one verb, and turns every error into one line on
// stderr and an exit code: 0 ok, 1 failed, 2 bad usage or config, 3 device or memory, 75
// trainings are missing, 130 interrupted.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <new>
#include <thread>

#include "engine/io/print.h"
#include "engine/io/text.h"
#include "engine/parallel/communicator.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "tools/cli/program.h"

namespace {

std::string shell_quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("-_./:=,+@%").find(c) != std::string_view::npos;
  });
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string command_of(int argc, char** argv) {
  std::string command = "hacscale";
  for (int i = 1; i < argc; ++i) command += " " + shell_quoted(argv[i]);
  return command;
}

// Of processes that a launcher started together, rank 0 speaks first: what all of them find, the
// launcher ends the others before they repeat it.
int fail(const std::string& who, const std::string& message, int code) {
  if (hac::launched().rank > 0) {
    std::signal(SIGTERM, SIG_DFL);
    std::this_thread::sleep_for(std::chrono::seconds(5));
  }
  hac::print(stderr, fmt::format("{}: {}\n", who, hac::one_line(message)));
  return code;
}

// Whatever went well: a result that stdout did not take is lost.
int succeed(const std::string& who) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return 0;
  return fail(who, "stdout: the result cannot be written", 1);
}

// The word that CLI11 did not expect, with the nearest one that it would have.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const auto verbs = app.get_subcommands();
  const CLI::App& verb = verbs.empty() ? app : *verbs[0];
  const std::vector<std::string> extra = verbs.empty() ? app.remaining() : verb.remaining();
  std::string hint = verbs.empty() ? "hacscale --help" : "hacscale " + verb.get_name() + " --help";
  if (extra.empty()) return fmt::format("{} (hint: {})", error.what(), hint);
  const std::string word = extra[0].substr(0, extra[0].find('='));
  if (!word.starts_with("-")) {
    return fmt::format("argument '{}': expected none (hint: {})", word, hint);
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return fmt::format("option '{}': unknown (hint: did you mean {}? see {})", word,
                     hac::nearest(word, names), hint);
}

void require_verb(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  const std::string first = argc > 1 ? argv[1] : "";
  if (first.starts_with("-") || std::count(names.begin(), names.end(), first)) return;
  throw hac::ConfigError(fmt::format(
      "command '{}': expected one of {} (hint: {})", first.substr(0, 60), fmt::join(names, ", "),
      first.empty() ? "hacscale --help" : "did you mean " + hac::nearest(first, names) + "?"));
}

}  // namespace

int main(int argc, char** argv) {
  hac::guard_standard_streams();
  hac::limit_openmp_spinning(argv);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error to report, not a death
  const std::string command = command_of(argc, argv);
  CLI::App app;
  hac::describe_program(app, command);
  const auto who = [&] {
    const auto verbs = app.get_subcommands();
    return verbs.empty() ? std::string("hacscale") : "hacscale " + verbs[0]->get_name();
  };
  try {
    require_verb(app, argc, argv);
    app.parse(argc, argv);
    return succeed(who());
  } catch (const CLI::Success& e) {  // --help, --version
    app.exit(e);
    return succeed(who());
  } catch (const CLI::ParseError& e) {
    return fail(who(), usage_message(app, e), 2);
  } catch (const hac::Error& e) {
    return fail(who(), e.what(), e.exit_code());
  } catch (const std::bad_alloc&) {
    return fail(who(), "memory: none left", 3);
  } catch (const std::exception& e) {
    if (std::ferror(stdout)) return succeed(who());  // fmt::print() throws what it cannot write
    return fail(who(), e.what(), 1);
  }
}
