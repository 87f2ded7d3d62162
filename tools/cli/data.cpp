// hacscale data check: which images of a folder cannot be used, before a training finds out.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/image/decode.h"
#include "data/sets/image_files.h"
#include "engine/io/fields_json.h"
#include "engine/io/print.h"
#include "engine/io/text.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string action, folder;
  int threads = 0;
  bool json = false;
};

struct Class {
  std::string name;
  std::int64_t images = 0, bad = 0;
  Fields fields() { return Fields().add("name", name).add("images", images).add("bad", bad); }
};

struct Bad {
  std::string path, why;
  Fields fields() { return Fields().add("path", path).add("why", why); }
};

// train, val, or the folder itself, with all images decoded.
struct Part {
  std::string name;
  std::vector<Class> classes;
  LeftOut left_out;
  std::vector<Bad> bad;
  std::int64_t images = 0;

  Fields fields() {
    return Fields()
        .add("name", name)
        .add("images", images)
        .add("bad", AnyValue(static_cast<std::int64_t>(bad.size())))
        .add("left_out", left_out)
        .add("classes", classes);
  }
};

Part check_part(const fs::path& folder, const std::string& name) {
  Part part{.name = name};
  std::vector<std::string> classes = list_classes(folder, part.left_out);
  if (classes.empty()) {  // a class of its own
    part.left_out.clear();
    classes.push_back("");
  }
  std::vector<std::string> paths;
  std::vector<std::size_t> labels;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const fs::path root = classes[c].empty() ? folder : folder / classes[c];
    for (const std::string& path : list_images(root, part.left_out)) {
      paths.push_back((root / path).string());
      labels.push_back(c);
    }
    part.classes.push_back({classes[c], std::ssize(paths) - part.images});
    part.images = std::ssize(paths);
  }
  // Damage lies in the compressed rows, all of which an image of an eighth takes, too.
  const auto decode = [&](std::int64_t i) { read_image(paths[i], {.shorter_side = 1}); };
  for (const BadImage& bad : find_bad_images(part.images, decode, "checking " + one_line(name))) {
    ++part.classes[labels[bad.index]].bad;
    part.bad.push_back({paths[bad.index], bad.why});
  }
  return part;
}

std::vector<Part> check_folder(fs::path folder) {
  if (!folder.has_filename()) folder = folder.parent_path();  // DIR/
  std::vector<Part> parts;
  for (const char* name : {"train", "val"}) {
    std::error_code ignored;
    if (fs::is_directory(folder / name, ignored)) parts.push_back(check_part(folder / name, name));
  }
  if (parts.empty()) parts.push_back(check_part(folder, folder.filename().string()));
  return parts;
}

// What a training would refuse besides bad images. val/ alone is enough for eval.
std::vector<std::string> problems_of(const fs::path& folder, const std::vector<Part>& parts) {
  std::vector<std::string> problems;
  std::error_code ignored;
  if (fs::is_directory(folder / "train", ignored) && !fs::is_directory(folder / "val", ignored)) {
    problems.emplace_back("val: no such folder beside train");
  }
  const auto has = [](const Part& part, const std::string& name) {
    return std::any_of(part.classes.begin(), part.classes.end(),
                       [&](const Class& c) { return c.name == name; });
  };
  for (const Part& part : parts) {
    for (const Class& c : part.classes) {
      const std::string place = c.name.empty() ? part.name : part.name + "/" + c.name;
      if (c.images == 0) problems.push_back(place + ": no image");
      for (const Part& other : parts) {
        if (has(other, c.name)) continue;
        problems.push_back(fmt::format("{}: no such class in {}", place, other.name));
      }
    }
  }
  return problems;
}

void print_text(const std::vector<Part>& parts, const std::vector<std::string>& problems) {
  for (const Part& part : parts) {
    for (const Bad& bad : part.bad) print(stdout, one_line(bad.why) + "\n");
  }
  for (const std::string& problem : problems) print(stdout, one_line(problem) + "\n");
  Rows rows;
  for (const Part& part : parts) {
    std::string text = fmt::format("{} images in {} classes, {} bad", grouped(part.images),
                                   part.classes.size(), part.bad.size());
    if (!part.left_out.empty()) text += "; left out: " + text_of(part.left_out);
    rows.push_back({part.name, one_line(text)});
    for (const Class& c : part.classes) {
      const std::string bad = c.bad == 0 ? "" : fmt::format(", {} bad", c.bad);
      if (c.name.empty()) continue;
      rows.push_back({"  " + one_line(c.name), grouped(c.images) + bad});
    }
  }
  print_rows(stdout, rows);
}

void check(const Options& o) {
  set_num_threads(o.threads);
  std::vector<Part> parts = check_folder(o.folder);
  std::vector<std::string> problems = problems_of(o.folder, parts);
  std::int64_t images = 0;
  std::vector<Bad> bad;
  for (const Part& part : parts) {
    images += part.images;
    bad.insert(bad.end(), part.bad.begin(), part.bad.end());
  }
  if (o.json) {
    print_json(to_json(Fields()
                           .add("folder", AnyValue(o.folder))
                           .add("parts", parts)
                           .add("bad", bad)
                           .add("problems", problems)));
  } else {
    print_text(parts, problems);
  }
  if (!bad.empty() || !problems.empty()) {
    throw IoError(fmt::format("data '{}': {} of {} images are bad, {} other problems", o.folder,
                              bad.size(), images, problems.size()));
  }
}

}  // namespace

void add_data(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("data", "Look for damaged images in a folder");
  const auto o = std::make_shared<Options>();
  verb->add_option("action", o->action, "check: decode every image")
      ->required()
      ->type_name("check")
      ->check(CLI::IsMember({"check"}));
  verb->add_option("folder", o->folder, "with train/CLASS and val/CLASS, or CLASS, or images in it")
      ->required()
      ->type_name("DIR");
  add_options(*verb, Fields().add("threads", o->threads, {0, 1024}, "0 = all cores"));
  add_json_option(*verb, o->json);
  verb->footer(
      "Example: hacscale data check photos\n"
      "Prints a line for each bad file and why, the images of each class, and what is left out.\n"
      "Ends with 1 if a file is bad, a class is empty, val is missing beside train, or the two\n"
      "differ in their classes.");
  verb->callback([o] { check(*o); });
}

}  // namespace hac
