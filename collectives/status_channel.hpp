// Small messages between the watchdogs of a job's ranks. They travel beside the collectives and
// arrive while the threads that compute and exchange hang.
#pragma once

#include <functional>
#include <string>

namespace ingot {

class StatusChannel {
 public:
  using Receiver = std::function<void(int from, std::string text)>;

  virtual ~StatusChannel() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Sends to another rank, which may be dead or stopped; returns at once. From any thread.
  virtual void send(int to, std::string text) = 0;
  /// Who gets what arrives, on a thread of the channel; null: nobody. After the call the receiver
  /// from before is not called any more.
  virtual void set_receiver(Receiver receiver) = 0;
};

}  // namespace ingot
