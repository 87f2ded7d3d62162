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
using testing::operator+;

// A few hundred images and a net of a few thousand weights: milliseconds an epoch.
inline const Words tiny_model = {"vgg11", "--width", "0.125", "--threads", "1"};
inline const Words tiny_data = {"--data", "synthetic",    "--limit-train",
                                "160",    "--limit-test", "100"};
inline const Words tiny_train = Words{"train"} + tiny_model + tiny_data + Words{"--batch", "16"};

class Cli : public ::testing::Test {
 protected:
  Outcome run(const Words& arguments, const RunOptions& options = {}) const {
    return Program(folder_.path(), arguments, options).wait();
  }
  std::string path(const std::string& name) const { return folder_.file(name); }
  void write(const std::string& name, const std::string& text) const { folder_.write(name, text); }

  // The same where it must end well.
  Outcome succeed(const Words& arguments) const {
    const Outcome o = run(arguments);
    EXPECT_EQ(o.exit, 0) << o.err;
    return o;
  }

  // Fails, with the exit code of architecture and one line that holds every one of `parts`.
  void expect_error(const Words& arguments, int code, const Words& parts) const {
    const Outcome o = run(arguments);
    std::string typed;
    for (const std::string& word : arguments) typed += " " + word;
    EXPECT_EQ(o.exit, code) << typed << "\n" << o.err;
    EXPECT_TRUE(o.one_line_error()) << typed << "\nstdout: " << o.out << "\nstderr: " << o.err;
    for (const std::string& part : parts) EXPECT_CONTAINS(o.err, part) << typed;
  }

  // Trains for an epoch into `name` and gives the path of its checkpoint.
  std::string checkpoint(const std::string& name) const {
    succeed(tiny_train + Words{"--epochs", "1", "--quiet", "--out", path(name)});
    return path(name) + "/last.safetensors";
  }

  json json_of(const Words& arguments) const {
    const std::string text = succeed(arguments + Words{"--json"}).out;
    const json j = json::parse(text, nullptr, false);
    EXPECT_TRUE(j.is_object() || j.is_array()) << text;
    return j;
  }

  TempFolder folder_;
};

}  // namespace hac
