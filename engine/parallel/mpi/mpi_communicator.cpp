// libhacscale_mpi.so: the one file that knows MPI.

#include <mpi.h>

#include "engine/parallel/communicator.h"

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
