#include "kernels/core/error.h"

namespace hac {

std::string with_hint(const std::string& message, const std::string& hint) {
  const std::size_t own = message.ends_with(')') ? message.rfind(" (hint: ") : std::string::npos;
  return message.substr(0, own) + " (hint: " + hint + ")";
}

void rethrow_device_error(const std::string& message) {
  try {
    throw;
  } catch (const OutOfMemory&) {
    throw OutOfMemory(message);
  } catch (const DeviceError&) {
    throw DeviceError(message);
  }
}

}  // namespace hac
