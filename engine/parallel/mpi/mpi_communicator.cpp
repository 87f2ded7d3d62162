// libhacscale_mpi.so: the one file that knows MPI.

#include <mpi.h>

#include <limits>
#include <numeric>

#include "engine/parallel/communicator.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

class MpiCommunicator : public Communicator {
 public:
  ~MpiCommunicator() override {
    if (!left_) MPI_Finalize();
  }

  int rank() const override {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
  }

  int size() const override {
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
  }

  void send(int to, std::string_view bytes) override {
    MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, 0, MPI_COMM_WORLD);
  }

  std::optional<Message> receive() override {
    int arrived = 0, bytes = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &arrived, &status);
    if (!arrived) return {};
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    Message message{.from = status.MPI_SOURCE, .bytes = std::string(bytes, '\0')};
    MPI_Recv(message.bytes.data(), bytes, MPI_BYTE, status.MPI_SOURCE, 0, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    return message;
  }

  std::vector<std::string> gather(std::string_view bytes) override {
    const int own = static_cast<int>(bytes.size());
    std::vector<int> sizes(size()), begins(size());
    MPI_Allgather(&own, 1, MPI_INT, sizes.data(), 1, MPI_INT, MPI_COMM_WORLD);
    std::exclusive_scan(sizes.begin(), sizes.end(), begins.begin(), 0);
    std::string all(begins.back() + sizes.back(), '\0');
    MPI_Allgatherv(bytes.data(), own, MPI_BYTE, all.data(), sizes.data(), begins.data(), MPI_BYTE,
                   MPI_COMM_WORLD);
    std::vector<std::string> texts;
    for (int r = 0; r < size(); ++r) texts.push_back(all.substr(begins[r], sizes[r]));
    return texts;
  }

  void exchange(std::span<const float> out, std::span<float> in) override {
    if (out.size() > std::numeric_limits<int>::max()) {
      throw DeviceError("MPI: more numbers than it can send at once (hint: fewer --shards)");
    }
    const int block = static_cast<int>(out.size() / size());
    MPI_Alltoall(out.data(), block, MPI_FLOAT, in.data(), block, MPI_FLOAT, MPI_COMM_WORLD);
  }

  void collect(std::span<const float> out, std::span<float> in) override {
    const int block = static_cast<int>(out.size());
    MPI_Allgather(out.data(), block, MPI_FLOAT, in.data(), block, MPI_FLOAT, MPI_COMM_WORLD);
  }

  void leave() override { left_ = true; }

 private:
  bool left_ = false;
};

}  // namespace
}  // namespace hac

extern "C" hac::MpiOpened hacscale_open_mpi(int interface) {
  if (interface != hac::communicator_interface) {
    return {.error = "libhacscale_mpi.so is of another version of the program"};
  }
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
    return {.error = "MPI_Init failed"};
  }
  return {.communicator = new hac::MpiCommunicator};
}
