#pragma once
// Errors by meaning. Message form: what 'where': expected ..., got ... (hint: ...).
// The command line turns one into a single line on stderr and the exit code.

#include <stdexcept>
#include <string>

namespace hac {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  virtual int exit_code() const { return 1; }
};

// An operation got tensors that do not fit together.
class ShapeError : public Error {
  using Error::Error;
};

// A request that cannot be meant: unknown name, option out of range, architecture that fails
// validation.
class ConfigError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 2; }
};

// A file that is missing, cut, malformed or cannot be written.
class IoError : public Error {
  using Error::Error;
};

// A device, driver or vendor library that is absent or failed.
class DeviceError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 3; }
};

class OutOfMemory : public DeviceError {
  using DeviceError::DeviceError;
};

// The message with this hint in place of the one that it ends with: "... (hint: HINT)".
std::string with_hint(const std::string& message, const std::string& hint);

// Inside a catch block: throws the DeviceError or OutOfMemory that is handled again, its message
// changed.
[[noreturn]] void rethrow_device_error(const std::string& message);

}  // namespace hac
