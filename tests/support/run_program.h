#pragma once
// Runs the built program as a user does, and keeps what it printed.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace hac::testing {

// Of a command line: one by one, or as they are typed, none with a space in it. Lines are joined by
// +.
struct Words : std::vector<std::string> {
  Words() = default;
  Words(std::initializer_list<std::string> words) : vector(words) {}
  Words(const std::string& line) {  // NOLINT: a line is its words
    std::istringstream in(line);
    assign(std::istream_iterator<std::string>(in), {});
  }
  Words(const char* line) : Words(std::string(line)) {}  // NOLINT
};

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Outcome {
  int exit = -1;    // exit status, -1 if a signal ended it
  int signal = 0;   // that signal
  std::string out;  // stdout
  std::string err;  // stderr

  // An error is exactly one line on stderr and nothing on stdout.
  bool one_line_error() const {
    return out.empty() && !err.empty() && std::count(err.begin(), err.end(), '\n') == 1 &&
           err.back() == '\n';
  }
};

struct RunOptions {
  rlim_t file_limit = RLIM_INFINITY;  // bytes that one file may have: a full disk
  std::string stdout_path = "stdout.txt", stderr_path = "stderr.txt";
  int stdout_to = -1, stderr_to = -1;  // these open files instead
  std::vector<int> closed;             // streams that the program starts without
  std::vector<int> ignored;            // signals, as nohup ignores SIGHUP
};

// A started program. Both outputs go to files where it runs, so neither can fill a pipe.
class Program {
 public:
  explicit Program(const Words& arguments, const RunOptions& options = {})
      : out_(options.stdout_path), err_(options.stderr_path) {
    Words words = Words{HAC_BINARY} + arguments;
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    const int out = ::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const int err = ::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ::dup2(options.stdout_to < 0 ? out : options.stdout_to, STDOUT_FILENO);
    ::dup2(options.stderr_to < 0 ? err : options.stderr_to, STDERR_FILENO);
    for (const int stream : options.closed) ::close(stream);
    for (const int signal : options.ignored) ::signal(signal, SIG_IGN);
    const rlimit limit{options.file_limit, options.file_limit};
    if (options.file_limit != RLIM_INFINITY) ::setrlimit(RLIMIT_FSIZE, &limit);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Program() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void send(int signal) const { ::kill(pid_, signal); }

  // Waits until `ready` says so; false when the program ended first or a minute went by.
  bool wait_until(const std::function<bool()>& ready) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!ready()) {
      siginfo_t info{};
      ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
      if (info.si_pid != 0 || std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  Outcome wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    const auto text = [](const std::string& path) {
      return path.starts_with("/dev/") ? "" : slurp(path);  // /dev/full never ends
    };
    Outcome o{.out = text(out_), .err = text(err_)};
    if (WIFEXITED(status)) o.exit = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) o.signal = WTERMSIG(status);
    return o;
  }

 private:
  std::string out_, err_;
  pid_t pid_ = -1;
};

}  // namespace hac::testing
