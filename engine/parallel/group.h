#pragma once
// Ranks that train one network together, as collectives: every rank calls the same ones in the same
// order. By MPI where mpirun started them (communicator.h); in tests, threads.

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hac {

struct Nccl;

class Group {
 public:
  virtual ~Group() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // What every rank gives, in their order; lengths may differ. Nobody returns before all have
  // called.
  virtual std::vector<std::string> gather(std::string_view bytes) = 0;
  // Blocks of `out.size() / size()` numbers: the k-th goes to rank k, the k-th of `in` came from
  // it.
  virtual void exchange(std::span<const float> out, std::span<float> in) = 0;
  // `in` is every rank's `out`, in their order.
  virtual void collect(std::span<const float> out, std::span<float> in) = 0;
  // What connects devices in place of libhacscale_nccl.so (device_group.h): a test's.
  virtual const Nccl* nccl() const { return nullptr; }
};

int rank_of(const Group* group);  // 0 of null: this process alone
bool any(Group& group, bool here);
// Rank 0 works; what it finds wrong is a ConfigError of all ranks. Null: this process alone.
void by_rank_0(Group* group, const std::function<void()>& work);
// Throws ConfigError on every rank unless all give the same text, which says what they are to do.
void require_same(Group& group, const std::string& work);

}  // namespace hac
