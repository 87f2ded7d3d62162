#include "tools/cli/task_farm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "engine/io/file.h"
#include "engine/io/print.h"
#include "kernels/core/error.h"
#include "models/train/interrupt.h"
#include "models/train/train.h"

namespace hac {
namespace {

constexpr int interrupted_code = 130;

// The words of this process's own command line.
std::vector<std::string> own_words() {
  const std::string all = read_file("/proc/self/cmdline");
  std::vector<std::string> words;
  for (std::size_t at = 0; at < all.size(); at = all.find('\0', at) + 1) {
    words.emplace_back(all.c_str() + at);
  }
  return words;
}

// This command with --task, as a process whose group is its own: what mpirun kills after a second
// is the rank, and the training then saves itself.
class Child {
 public:
  Child(std::int64_t task, bool quiet) {
    std::vector<std::string> words = own_words();
    words.push_back("--task");
    words.push_back(std::to_string(task));
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw Error("a process for a task: cannot be started");
    if (pid_ > 0) return;
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(interrupted_code);
    // What a task prints is no result of the run.
    ::dup2(quiet ? ::open("/dev/null", O_WRONLY) : STDERR_FILENO, STDOUT_FILENO);
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
  }

  // Once it has ended: its exit code, 128 + N where signal N ended it.
  std::optional<int> ended() const {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return {};
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  void stop() const { ::kill(pid_, SIGTERM); }

 private:
  pid_t pid_ = -1;
};

// The task that a rank works on, and what became of it.
class Worker {
 public:
  explicit Worker(bool quiet) : quiet_(quiet) {}
  bool busy() const { return child_.has_value(); }
  void start(std::int64_t task) { child_.emplace(task, quiet_); }
  std::optional<int> poll(bool stop) {
    if (!child_) return {};
    if (stop && !asked_) child_->stop();
    asked_ = stop;
    const std::optional<int> code = child_->ended();
    if (code) child_.reset();
    return code;
  }

 private:
  bool quiet_, asked_ = false;
  std::optional<Child> child_;
};

void wait_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(10)); }

using Clock = std::chrono::steady_clock;

// What rank 0 sends to another: the number of a task, or one of these; and gets back its exit code,
// and while it works a sign of life.
constexpr std::int64_t message_end = 0, message_stop = -1, message_leave = -2;
constexpr const char* message_alive = "alive";
constexpr std::chrono::seconds between_signs{2};

// Silence after which a rank is taken for lost. Longer than the locks of a machine that died may
// last (NFS: 90 s), or its task could not be taken.
std::chrono::seconds lost_after() {
  const char* text = std::getenv("HAC_LOST_AFTER");
  return std::chrono::seconds(text ? std::atoi(text) : 120);
}

void work(Communicator& world, bool quiet) {
  const InterruptGuard guard;
  Worker worker(quiet);
  Clock::time_point spoke = Clock::now();
  for (bool stop = false;; wait_a_little()) {
    stop |= guard.requested();
    if (const auto code = worker.poll(stop)) world.send(0, std::to_string(*code));
    if (worker.busy() && Clock::now() - spoke > between_signs) {
      spoke = Clock::now();
      world.send(0, message_alive);
    }
    const std::optional<Message> message = world.receive();
    if (!message) continue;
    const std::int64_t task = std::stoll(message->bytes);
    if (task == message_end) return;
    if (task == message_leave) return world.leave();
    if (task == message_stop) {
      stop = true;
    } else {
      worker.start(task);
    }
  }
}

void send_all(Communicator& world, std::int64_t message) {
  for (int rank = 1; rank < world.size(); ++rank) world.send(rank, std::to_string(message));
}

// One wave of tasks, on all ranks.
class Wave {
 public:
  // Adds to `lost` the ranks that fall silent.
  Wave(Communicator& world, const std::vector<TrainingTask>& tasks, bool quiet, std::set<int>& lost)
      : world_(world), own_(quiet), lost_(lost) {
    for (const TrainingTask& t : tasks) waiting_.push_back(t.number);
    for (int rank = 0; rank < world.size(); ++rank) {
      if (!lost.contains(rank)) idle_.insert(rank);
    }
  }

  void run() {
    const InterruptGuard guard;
    while (!running_.empty() || (!waiting_.empty() && !stopping_)) {
      if (guard.requested()) stop();
      while (!stopping_ && !waiting_.empty() && !idle_.empty()) start();
      if (const auto code = own_.poll(stopping_)) finish(0, *code);
      while (const auto message = world_.receive()) {
        heard_[message->from] = Clock::now();
        if (message->bytes != message_alive) finish(message->from, std::stoi(message->bytes));
      }
      look_for_lost();
      wait_a_little();
    }
    if (stopping_) {
      throw Interrupted("interrupted; everything is saved (hint: the same command resumes it)");
    }
    if (failed_.empty()) return;
    const std::string numbers = number_ranges({failed_.begin(), failed_.end()});
    throw Error(
        fmt::format("tasks {}: failed twice, the others of their wave are done (hint: the "
                    "same command with --task {} shows why)",
                    numbers, *failed_.begin()));
  }

 private:
  void stop() {
    if (!std::exchange(stopping_, true)) send_all(world_, message_stop);
  }

  void start() {
    // Other ranks first: rank 0 hands out.
    const int rank = *idle_.rbegin();
    const std::int64_t task = waiting_.front();
    waiting_.pop_front();
    idle_.erase(rank);
    running_[rank] = task;
    heard_[rank] = Clock::now();
    if (rank == 0) {
      own_.start(task);
    } else {
      world_.send(rank, std::to_string(task));
    }
  }

  void look_for_lost() {
    for (auto it = running_.begin(); it != running_.end();) {
      const auto [rank, task] = *it;
      if (rank == 0 || Clock::now() - heard_[rank] < limit_) {
        ++it;
        continue;
      }
      print(stderr,
            fmt::format("rank {} is silent for {} s and taken for lost; its task {} goes to "
                        "another\n",
                        rank, limit_.count(), task));
      lost_.insert(rank);
      waiting_.push_back(task);
      it = running_.erase(it);
    }
  }

  void finish(int rank, int code) {
    lost_.erase(rank);
    idle_.insert(rank);
    const auto it = running_.find(rank);
    if (it == running_.end()) return;  // it was taken for lost
    const std::int64_t task = it->second;
    running_.erase(it);
    if (code == 0) return;
    if (code == interrupted_code) {
      stop();
    } else if (tried_.insert(task).second) {
      print(stderr, fmt::format("task {} on rank {}: {}; it is started once more\n", task, rank,
                                code > 128 ? fmt::format("killed by signal {}", code - 128)
                                           : fmt::format("exit code {}", code)));
      waiting_.push_back(task);
    } else {
      failed_.insert(task);
    }
  }

  Communicator& world_;
  Worker own_;
  std::deque<std::int64_t> waiting_;
  std::set<int>& lost_;
  std::set<int> idle_;
  std::map<int, Clock::time_point> heard_;  // of ranks with a task
  const std::chrono::seconds limit_ = lost_after();
  std::map<int, std::int64_t> running_;    // by rank
  std::set<std::int64_t> tried_, failed_;  // once, twice without success
  bool stopping_ = false;
};

// Lets the other ranks end, however rank 0 does; nobody waits for those that are lost.
struct EndOfAll {
  Communicator& world;
  std::set<int> lost{};
  ~EndOfAll() {
    send_all(world, lost.empty() ? message_end : message_leave);
    if (!lost.empty()) world.leave();
  }
};

}  // namespace

void farm_out(Communicator& world, const Merge& merge, bool quiet) {
  if (world.rank() > 0) return work(world, quiet);
  EndOfAll end{world};
  for (;;) {
    std::vector<TrainingTask> tasks;
    try {
      return merge();
    } catch (TrainingsMissing& missing) {
      tasks = std::move(missing.tasks);
    }
    Wave(world, tasks, quiet, end.lost).run();
  }
}

}  // namespace hac
