#pragma once
// mpirun -np N hacscale run ...: rank 0 hands out the trainings of a run, each rank does them one
// at a time, results come back through the shared folder.

#include <functional>

#include "engine/parallel/communicator.h"
#include "scaling/experiment/training_tasks.h"

namespace hac {

// Of rank 0: does what needs no training, and throws TrainingsMissing while there are some.
using Merge = std::function<void()>;

// On rank 0, until merge() returns: runs what it misses on all ranks. A task is a process of its
// own (this command with --task N), so that a training which crashes or is killed ends neither its
// rank nor the others; it is started once more. On other ranks, until rank 0 has ended. Throws on
// rank 0 what merge() does, Interrupted after a signal to any rank, and Error naming the tasks that
// failed twice, when the others of their wave are done.
void farm_out(Communicator& world, const Merge& merge, bool quiet);

}  // namespace hac
