#include "data/sets/pack.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "data/image/jpeg_encode.h"
#include "data/image/transforms.h"
#include "data/sets/packed_file.h"
#include "engine/io/file.h"
#include "engine/io/progress.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t largest_raw_side = 256;
constexpr std::int64_t images_at_once = 64;  // in memory, before they are written

PackedAs stored_as(const PackConfig& config) {
  if (config.store == PackStore::automatic) {
    return config.side <= largest_raw_side ? PackedAs::raw : PackedAs::jpeg;
  }
  return config.store == PackStore::raw ? PackedAs::raw : PackedAs::jpeg;
}

PackedAbout about_of(fs::path folder, const DataSplit& data, const PackConfig& config) {
  if (!folder.has_filename()) folder = folder.parent_path();  // DIR/
  const PackedAs stored = stored_as(config);
  PackedAbout about{.folder = utf8(folder.filename().string()),
                    .side = config.side,
                    .stored = stored,
                    .quality = stored == PackedAs::jpeg ? config.quality : 0,
                    .splits = {"train", "val"},
                    .fingerprints = {fingerprint(*data.train), fingerprint(*data.test)}};
  for (const std::string& name : data.train->classes()) about.classes.push_back(utf8(name));
  return about;
}

// Which image of which split.
struct Source {
  std::int32_t split;
  std::int64_t index;
  auto operator<=>(const Source&) const = default;
};

PackedImage make_image(const Dataset& set, const Source& source, const PackedAbout& about) {
  const std::string identity = set.identity(source.index);
  PackedImage image{.split = source.split,
                    .label = set.label(source.index),
                    .source = source.index,
                    .stored = about.stored,
                    .name = identity.substr(0, identity.rfind(' '))};
  auto file = std::get<EncodedImage>(set.read(source.index));
  const bool raw = about.stored == PackedAs::raw;
  Sample sample = decode(file, {.shorter_side = raw ? about.side : 0});
  const bool large = std::min(sample.height, sample.width) > about.side;
  if (large) sample = apply({Resize{about.side}}, std::move(sample), {0, 0, 0}).render(3);
  image.height = sample.height;
  image.width = sample.width;
  if (raw) {
    image.bytes.assign(sample.pixels.begin(), sample.pixels.end());
  } else if (!large && file.bytes.starts_with("\xff\xd8")) {
    image.bytes = std::move(file.bytes);
  } else {
    image.bytes = encode_jpeg(sample, static_cast<int>(about.quality));
  }
  return image;
}

class Packing {
 public:
  Packing(const DataSplit& data, const PackedAbout& about, PackedWriter& writer)
      : sets_{data.train.get(), data.test.get()}, about_(about), writer_(writer) {
    for (std::int32_t split = 0; split < 2; ++split) {
      for (std::int64_t i = 0; i < sets_[split]->size(); ++i) sources_.push_back({split, i});
    }
  }
  std::int64_t size() const { return std::ssize(sources_); }

  void write_all(bool quiet) {
    Progress progress("packing", size(), quiet);
    std::int64_t first = 0;
    if (!writer_.entries().empty()) {
      const PackedEntry& last = writer_.entries().back();
      const Source done{last.split, last.source};
      first = std::upper_bound(sources_.begin(), sources_.end(), done) - sources_.begin();
    }
    for (std::int64_t i = 0; i < first; ++i) progress.step(1, {});
    for (; first < size(); first += images_at_once) {
      const std::int64_t n = std::min(images_at_once, size() - first);
      for (const auto& image : make(first, n)) {
        if (image) writer_.add(*image);
        progress.step(1, {});
      }
    }
    progress.finish({});
  }

  // Why each image that is not in the file is bad.
  std::vector<std::string> bad() const {
    std::vector<std::string> why;
    std::size_t next = 0;
    for (const Source& source : sources_) {
      if (next < writer_.entries().size()) {
        const PackedEntry& e = writer_.entries()[next];
        if (Source{e.split, e.source} == source) {
          ++next;
          continue;
        }
      }
      try {
        make_image(*sets_[source.split], source, about_);
        why.push_back(sets_[source.split]->identity(source.index) + ": it was bad before");
      } catch (const IoError& error) {
        why.emplace_back(error.what());
      }
    }
    return why;
  }

 private:
  // None where an image is bad.
  std::vector<std::optional<PackedImage>> make(std::int64_t first, std::int64_t n) const {
    std::vector<std::optional<PackedImage>> images(n);
    std::exception_ptr other;
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t i = 0; i < n; ++i) {
      const Source& source = sources_[first + i];
      try {
        images[i] = make_image(*sets_[source.split], source, about_);
      } catch (const IoError&) {  // bad() says why
      } catch (...) {
#pragma omp critical(hac_pack)
        other = std::current_exception();
      }
    }
    if (other) std::rethrow_exception(other);
    return images;
  }

  std::array<const Dataset*, 2> sets_;
  const PackedAbout& about_;
  PackedWriter& writer_;
  std::vector<Source> sources_;
};

void settle_bad_images(const std::string& folder, const std::vector<std::string>& bad,
                       std::int64_t images, BadImages policy) {
  if (bad.empty() || policy == BadImages::skip) return;
  std::string first;
  for (std::size_t k = 0; k < std::min<std::size_t>(5, bad.size()); ++k) {
    first += (k == 0 ? "" : "; ") + bad[k];
  }
  throw IoError(
      fmt::format("pack '{}': {} of {} images are bad: {}{} (hint: the same command with "
                  "--bad-images skip leaves them out)",
                  folder, bad.size(), images, first, bad.size() > 5 ? "; ..." : ""));
}

void require_images_in_each(const PackedAbout& about, std::span<const PackedEntry> entries) {
  std::vector<bool> found(about.classes.size() * about.splits.size());
  for (const PackedEntry& e : entries) found[e.split * about.classes.size() + e.label] = true;
  const auto empty =
      static_cast<std::size_t>(std::find(found.begin(), found.end(), false) - found.begin());
  if (empty == found.size()) return;
  throw IoError(fmt::format("pack: all images of {}/{} are bad",
                            about.splits[empty / about.classes.size()],
                            about.classes[empty % about.classes.size()]));
}

}  // namespace

PackResult pack_images(const std::string& folder, const std::string& out,
                       const PackConfig& config) {
  check(fields_of(config), "pack");
  std::error_code ignored;
  if (fs::exists(out, ignored) && !config.overwrite) {
    throw IoError(fmt::format("file '{}': exists already (hint: --overwrite replaces it)", out));
  }
  require_writable_file(out);
  const DataSplit data =
      open_data({.name = "imagefolder:" + folder, .quiet = config.quiet, .check_images = false});
  const PackedAbout about = about_of(folder, data, config);
  PackedWriter writer(out, about, config.overwrite);
  PackResult result{.continued = std::ssize(writer.entries())};
  Packing packing(data, about, writer);
  packing.write_all(config.quiet);
  const std::vector<std::string> bad = packing.bad();
  settle_bad_images(folder, bad, packing.size(), config.bad_images);
  require_images_in_each(about, writer.entries());
  writer.finish();
  result.images = std::ssize(writer.entries());
  result.bad = std::ssize(bad);
  result.bytes = static_cast<std::int64_t>(writer.size());
  return result;
}

}  // namespace hac
