#pragma once
// The processes that a launcher started together: who this one is among them, messages, and the
// collectives of a group. By MPI, which lies in a library of its own (mpi/) that is opened at run
// time, so that the program needs none where there is none.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/parallel/group.h"

namespace hac {

struct Message {
  int from = 0;
  std::string bytes;
};

class Communicator : public Group {
 public:
  // Returns when the bytes may go, whether or not they were received. Between two ranks messages
  // keep their order.
  virtual void send(int to, std::string_view bytes) = 0;
  // One that has arrived, from whomever; never waits.
  virtual std::optional<Message> receive() = 0;
  // At the end the processes wait for one another; from here on this one does not.
  virtual void leave() = 0;
};

// What the environment says: of Open MPI, of what speaks PMI (MPICH, Intel MPI), of srun with PMIx.
struct Launched {
  int rank = 0, size = 1;
  int on_node = 0;  // the rank among those of this computer
};
Launched launched();

// Those of launched(); this process alone where no launcher started others. Throws DeviceError
// where there are several and the library is not there, or is of another MPI than the launcher's.
std::unique_ptr<Communicator> open_communicator();

// What the library exports as hacscale_open_mpi. Null, with a text, where MPI does not start.
struct MpiOpened {
  Communicator* communicator = nullptr;
  const char* error = "";
};
using OpenMpi = MpiOpened (*)(int interface);
// Of this header; the library refuses another one.
inline constexpr int communicator_interface = 1;

}  // namespace hac
