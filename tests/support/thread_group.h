#pragma once
// Ranks that are threads of one process, each with a Group of its own.

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/parallel/group.h"
#include "kernels/core/error.h"

namespace hac {

class ThreadGroup {
 public:
  explicit ThreadGroup(int ranks) : texts_(ranks), numbers_(ranks) {}

  // Every rank in a thread; what the first of them throws goes on here. The others then throw too,
  // where they would wait for it.
  void run(const std::function<void(Group&)>& work) {
    const int ranks = static_cast<int>(texts_.size());
    std::vector<std::exception_ptr> errors(ranks);
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks; ++r) {
      threads.emplace_back([&, r] {
        Rank rank(*this, r);
        try {
          work(rank);
        } catch (...) {
          errors[r] = std::current_exception();
          end();
        }
      });
    }
    for (std::thread& t : threads) t.join();
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  }

 private:
  class Rank final : public Group {
   public:
    Rank(ThreadGroup& all, int rank) : all_(all), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return static_cast<int>(all_.texts_.size()); }
    std::vector<std::string> gather(std::string_view bytes) override {
      all_.texts_[rank_] = bytes;
      all_.meet();
      std::vector<std::string> got = all_.texts_;
      all_.meet();
      return got;
    }
    void exchange(std::span<const float> out, std::span<float> in) override {
      all_.numbers_[rank_] = out;
      all_.meet();
      const std::size_t block = out.size() / size();
      for (const auto& theirs : all_.numbers_) {
        if (theirs.size() != out.size()) throw Error("ranks exchange unlike numbers");
      }
      for (int r = 0; r < size(); ++r) {
        std::copy_n(all_.numbers_[r].begin() + rank_ * block, block, in.begin() + r * block);
      }
      all_.meet();
    }
    void collect(std::span<const float> out, std::span<float> in) override {
      all_.numbers_[rank_] = out;
      all_.meet();
      for (int r = 0; r < size(); ++r) {
        if (all_.numbers_[r].size() != out.size()) throw Error("ranks collect unlike numbers");
        std::copy(all_.numbers_[r].begin(), all_.numbers_[r].end(), in.begin() + r * out.size());
      }
      all_.meet();
    }

   private:
    ThreadGroup& all_;
    const int rank_;
  };

  void meet() {
    std::unique_lock lock(mutex_);
    const std::uint64_t round = round_;
    if (++waiting_ == static_cast<int>(texts_.size())) {
      waiting_ = 0;
      ++round_;
      met_.notify_all();
    } else {
      met_.wait(lock, [&] { return round_ != round || ended_; });
      if (round_ == round) throw Error("another rank ended");
    }
  }

  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    met_.notify_all();
  }

  std::vector<std::string> texts_;
  std::vector<std::span<const float>> numbers_;
  std::mutex mutex_;
  std::condition_variable met_;
  int waiting_ = 0;
  std::uint64_t round_ = 0;
  bool ended_ = false;
};

}  // namespace hac
