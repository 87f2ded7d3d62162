// hacscale_pages DIR: the manual page and the completions, for packages.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/io/file.h"
#include "engine/io/print.h"
#include "models/zoo/zoo.h"
#include "tools/cli/program.h"
#include "tools/pages/pages.h"

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: hacscale_pages DIR");
    const std::string folder = argv[1], command = "hacscale";
    CLI::App program;
    hac::describe_program(program, command);
    const auto verbs = hac::pages::verbs_of(program, hac::zoo_names());
    hac::make_folder(folder);
    hac::write_file_atomically(folder + "/hacscale.1", hac::pages::manual_page(verbs));
    hac::write_file_atomically(folder + "/hacscale.bash", hac::pages::bash_completion(verbs));
    hac::write_file_atomically(folder + "/_hacscale", hac::pages::zsh_completion(verbs));
  } catch (const std::exception& e) {
    hac::print(stderr, fmt::format("hacscale_pages: {}\n", e.what()));
    return 1;
  }
}
