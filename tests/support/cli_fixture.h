#pragma once
// What the tests of the command line share: the program, a folder of its own, a tiny training.

#include <nlohmann/json.hpp>

#include "tests/support/data_fixtures.h"
#include "tests/support/run_program.h"

namespace hac {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Outcome;
using testing::Program;
using testing::RunOptions;
using testing::slurp;
using testing::Words;

// A few hundred images and a net of a few thousand weights: milliseconds an epoch.
inline const Words tiny_model = "vgg11 --width 0.125 --threads 1";
inline const Words tiny_data = "--data synthetic --limit-train 160 --limit-test 100";
inline const Words tiny_train = "train" + tiny_model + tiny_data + " --batch 16";

inline json json_in(const std::string& file) { return json::parse(slurp(file)); }

// In a folder of its own, so that names of files need no more.
class Cli : public ::testing::Test {
 protected:
  Cli() { fs::current_path(folder_.path()); }
  ~Cli() override { fs::current_path(before_); }

  static Outcome run(const Words& arguments, const RunOptions& options = {}) {
    return Program(arguments, options).wait();
  }
  void write(const std::string& name, const std::string& text) const { folder_.write(name, text); }

  // The same where it must end well.
  static Outcome succeed(const Words& arguments) {
    const Outcome o = run(arguments);
    EXPECT_EQ(o.exit, 0) << o.err;
    return o;
  }

  // Fails, with the exit code of architecture and one line that holds every one of `parts`.
  static void expect_error(const Words& arguments, int code,
                           std::initializer_list<std::string> parts) {
    const Outcome o = run(arguments);
    std::string typed;
    for (const std::string& word : arguments) typed += " " + word;
    EXPECT_EQ(o.exit, code) << typed << "\n" << o.err;
    EXPECT_TRUE(o.one_line_error()) << typed << "\nstdout: " << o.out << "\nstderr: " << o.err;
    EXPECT_TRUE(holds_parts(o.err, true, parts)) << typed;
  }

  // Trains for an epoch into `name` and gives the path of its checkpoint.
  static std::string checkpoint(const std::string& name) {
    succeed(tiny_train + " --epochs 1 --quiet --out " + name);
    return name + "/last.safetensors";
  }

  static json json_of(const Words& arguments) {
    const std::string text = succeed(arguments + " --json").out;
    const json j = json::parse(text, nullptr, false);
    EXPECT_TRUE(j.is_object() || j.is_array()) << text;
    return j;
  }

  const fs::path before_ = fs::current_path();
  const TempFolder folder_;
};

}  // namespace hac
