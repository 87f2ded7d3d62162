#pragma once
// Another context in place of a thread's own.

#include "kernels/core/context.h"

namespace hac {

// While it lives, Context::current of its device is this one, for the thread that made it.
class ContextScope {
 public:
  explicit ContextScope(Context& ctx);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  Context* before_;
};

}  // namespace hac
