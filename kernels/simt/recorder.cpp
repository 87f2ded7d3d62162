#include "kernels/simt/recorder.h"

#include <algorithm>

#include "kernels/core/launch.h"

namespace hac::simt {

constexpr std::uintptr_t sector_bytes = 32;

Recorder::Recorder(const Launch& how) : block_(how.block) {
  trace_.kernel = how.name;
  trace_.blocks = how.grid;
  trace_.threads = how.grid * how.block;
  trace_.warps = how.grid * ceil_div(how.block, 32);
}

int Recorder::site_of(Access kind, Place at) {
  const auto it = std::find_if(sites_.begin(), sites_.end(), [&](const Site& s) {
    return s.kind == kind && same_place(s.at, at);
  });
  if (it != sites_.end()) return static_cast<int>(it - sites_.begin());
  sites_.push_back({at, kind, std::vector<int>(block_)});
  return static_cast<int>(sites_.size()) - 1;
}

void Recorder::access(int thread, std::uintptr_t p, std::size_t bytes, Access kind, Place at) {
  (kind == Access::load ? trace_.load_bytes : trace_.store_bytes) +=
      static_cast<std::int64_t>(bytes);
  const int site = site_of(kind, at), k = sites_[site].executions[thread]++;
  for (std::uintptr_t s = p / sector_bytes; s <= (p + bytes - 1) / sector_bytes; ++s) {
    touches_.push_back({site, thread / 32, k, s});
  }
}

void Recorder::end_block() {
  std::sort(touches_.begin(), touches_.end());
  touches_.erase(std::unique(touches_.begin(), touches_.end()), touches_.end());
  for (std::size_t i = 0; i < touches_.size(); ++i) {
    const Touch& t = touches_[i];
    const bool load = sites_[t.site].kind == Access::load;
    const bool first = i == 0 || touches_[i - 1].site != t.site || touches_[i - 1].warp != t.warp ||
                       touches_[i - 1].k != t.k;
    ++(load ? trace_.load_sectors : trace_.store_sectors);
    (load ? loaded_ : stored_).insert(t.sector);
    if (first) ++(load ? trace_.warp_loads : trace_.warp_stores);
  }
  touches_.clear();
  for (Site& site : sites_) std::fill(site.executions.begin(), site.executions.end(), 0);
}

const Trace& Recorder::trace() {
  trace_.distinct_load_sectors = std::ssize(loaded_);
  trace_.distinct_store_sectors = std::ssize(stored_);
  return trace_;
}

}  // namespace hac::simt
