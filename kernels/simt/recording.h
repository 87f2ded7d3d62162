#pragma once
// What a thread of the simulated device records: calls that hold their arguments. Those of one
// context keep their order; between contexts there is no order but what Runtime::follow asked for,
// and a replay may take any other (Options::streams). Nothing runs while a thread records, so
// whatever leans on a host value that comes later, or on memory that moves, gives other numbers
// when it is replayed: the tests see it without a GPU.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/simt/executor.h"

namespace hac {
class Context;
}

namespace hac::simt {

class RecordedWork {
 public:
  explicit RecordedWork(const Context& recording);

  Device device() const { return device_; }
  // Throws DeviceError for a context that has not been made to follow one of the recording.
  void add(const Context& ctx, std::function<void()> call);
  // What `ctx` is given from here on begins when all that `other` was given is done. Throws
  // DeviceError where `other` is not of the recording.
  void follow(const Context& ctx, const Context& other);
  // Throws DeviceError where the recording context does not follow what another was given last.
  void require_joined() const;
  void replay(const Options& options) const;

 private:
  // A context's next call, or, where that is null, its wait until the entries of another context
  // before the `until`-th of all are done.
  struct Entry {
    int stream;
    std::function<void()> call;
    int other = 0;
    std::size_t until = 0;
  };

  int find(const Context& ctx) const;  // -1: not of the recording
  std::size_t next_of(int stream, std::size_t from) const;

  Device device_;
  std::vector<const Context*> streams_;  // the first one records
  std::vector<Entry> entries_;
};

std::int64_t replays();  // of any recording, so far

}  // namespace hac::simt
