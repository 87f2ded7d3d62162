#pragma once
// CIFAR-10 and CIFAR-100 (Krizhevsky 2009), the official binary version: records of label bytes
// followed by a 3x32x32 planar RGB image.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/datasets.h"

namespace hac {

struct ImageSet;

struct CifarLayout {
  std::string name;                      // cifar10
  std::string folder;                    // what the official archive unpacks to
  std::string archive;                   // its name, for the hint
  std::string class_names;               // file with a name a line
  std::vector<std::string> classes;      // when that file is absent
  std::vector<std::string> train, test;  // files
  int label_bytes = 1;           // the last one is the class; of two, the first is the superclass
  std::int64_t records = 10000;  // in a training file; the test file always has test_records
  std::int64_t test_records = 10000;
  Normalization normalization;
};

CifarLayout cifar10_layout();
CifarLayout cifar100_layout();

// Appends the records of one file to `set`. Throws IoError, naming `where`: not exactly `records`
// whole records, or a label out of range.
void append_cifar(std::string_view bytes, const CifarLayout& layout, std::int64_t records,
                  const std::string& where, ImageSet& set);

// The folder is config.dir, else $HAC_DATA_DIR, else ./data-sets; the files lie there or in
// layout.folder below it. Throws IoError.
DataSplit open_cifar(const CifarLayout& layout, const DataConfig& config,
                     Parts parts = Parts::both);

}  // namespace hac
