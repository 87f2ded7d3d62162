// hacscale data check: which images of a folder cannot be used, before a training finds out; and
// hacscale data pack, which makes one file of them.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/image/decode.h"
#include "data/sets/image_files.h"
#include "data/sets/pack.h"
#include "data/sets/packed_file.h"
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
  std::string action, folder, out;
  PackConfig pack;
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

// All images of a packed file, split by split.
std::vector<Part> check_packed(const std::string& path) {
  const PackedFile file(path);
  std::vector<Part> parts;
  for (const std::string& split : file.about().splits) {
    parts.push_back({.name = split});
    for (const std::string& name : file.about().classes) parts.back().classes.push_back({name});
  }
  const auto part_of = [&](std::int64_t i) -> Part& { return parts[file.entries()[i].split]; };
  const std::int64_t n = std::ssize(file.entries());
  for (std::int64_t i = 0; i < n; ++i) {
    ++part_of(i).images;
    ++part_of(i).classes[file.entries()[i].label].images;
  }
  const auto read = [&](std::int64_t i) {
    const std::string_view bytes = file.bytes(i);
    if (file.entries()[i].stored == static_cast<int>(PackedAs::jpeg)) {
      check_image(bytes, fmt::format("{}: {}", path, file.name(i)));
    }
  };
  for (const BadImage& bad : find_bad_images(n, read, "checking " + one_line(path))) {
    ++part_of(bad.index).classes[file.entries()[bad.index].label].bad;
    part_of(bad.index).bad.push_back({file.name(bad.index), bad.why});
  }
  return parts;
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
  std::error_code ignored;
  std::vector<Part> parts =
      fs::is_regular_file(o.folder, ignored) ? check_packed(o.folder) : check_folder(o.folder);
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

void pack(const Options& o) {
  set_num_threads(o.threads);
  const PackResult result = pack_images(o.folder, o.out, o.pack);
  if (o.json) return print_json(to_json(fields_of(result)));
  std::string images = grouped(result.images);
  if (result.continued > 0) images += fmt::format(", {} of them before", grouped(result.continued));
  if (result.bad > 0) images += fmt::format("; left out {} bad", grouped(result.bad));
  print_rows(stdout, {{"packed", one_line(o.out)},
                      {"images", images},
                      {"bytes", grouped(result.bytes)},
                      {"train with", "--data packed:" + one_line(o.out)}});
}

void run(const Options& o) {
  const bool packs = o.action == "pack";
  if (packs && o.out.empty()) throw ConfigError("data pack: expected DIR and OUT");
  if (!packs && !o.out.empty()) {
    throw ConfigError(fmt::format("data check: expected one DIR, got '{}' too", o.out));
  }
  packs ? pack(o) : check(o);
}

}  // namespace

void add_data(CLI::App& app, const std::string&) {
  CLI::App* verb =
      app.add_subcommand("data", "Look for damaged images in a folder, or make one file of it");
  const auto o = std::make_shared<Options>();
  verb->add_option("action", o->action, "check: decode every image; pack: write them to OUT")
      ->required()
      ->type_name("check|pack")
      ->check(CLI::IsMember({"check", "pack"}));
  verb->add_option("folder", o->folder,
                   "with train/CLASS and val/CLASS, or CLASS, or images in it; check: or a packed "
                   "file")
      ->required()
      ->type_name("DIR");
  verb->add_option("out", o->out, "pack: the file to write")->type_name("OUT");
  add_options(*verb, fields_of(o->pack), "pack");
  add_options(*verb, Fields().add("threads", o->threads, {0, 1024}, "0 = all cores"));
  add_json_option(*verb, o->json);
  verb->footer(
      "Example: hacscale data check photos\n"
      "         hacscale data pack photos photos.pack --side 256\n"
      "check prints a line for each bad file and why, the images of each class, and what is left "
      "out.\n"
      "Ends with 1 if a file is bad, a class is empty, val is missing beside train, or the two\n"
      "differ in their classes.\n"
      "pack resizes images whose shorter side is longer than --side, and writes OUT, which\n"
      "--data packed:OUT reads without decoding. Stopped, the same command continues it.");
  verb->callback([o] { run(*o); });
}

}  // namespace hac
