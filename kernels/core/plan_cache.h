#pragma once
// What a backend prepares once for a spec and keeps: oneDNN's primitives, cuDNN's and cuBLAS's
// plans.

#include <map>
#include <memory>
#include <typeindex>
#include <unordered_map>

#include "kernels/core/runtime.h"

namespace hac {

class PlanCache {
 public:
  // The plan of this key, made by make() on first use; valid until the next call. Keys hold all
  // that the plan depends on.
  template <class Plan, class Key, class Make>
  Plan& get(const Key& key, Make make) {
    using Plans = std::map<Key, Plan>;
    std::shared_ptr<void>& slot = plans_[std::type_index(typeid(Plans))];
    if (!slot) slot = std::make_shared<Plans>();
    const auto it = static_cast<Plans*>(slot.get())->find(key);
    if (it != static_cast<Plans*>(slot.get())->end()) return it->second;
    // A new map instead of an empty one: recorded work may hold the old one's plans, and what is
    // being recorded has its plans in this one.
    if (static_cast<Plans*>(slot.get())->size() > kMost && !capturing()) {
      slot = std::make_shared<Plans>();
    }
    return static_cast<Plans*>(slot.get())->emplace(key, make()).first->second;
  }

  // All plans made so far live as long as what this returns.
  std::shared_ptr<void> keep() const { return std::make_shared<AllPlans>(plans_); }

 private:
  using AllPlans = std::unordered_map<std::type_index, std::shared_ptr<void>>;
  static constexpr std::size_t kMost = 4096;  // scaling visits many networks
  AllPlans plans_;
};

}  // namespace hac
