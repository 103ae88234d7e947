// An abstract socket named after job and device: the kernel lets one process bind it and frees it
// when that process ends. Jobs on one machine do not meet: each simulates devices of its own.
#include "cudart/exclusive.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace gpusim::cudart {

bool take_exclusively(const std::string& uuid) {
  std::string job = "session-" + std::to_string(getsid(0));
  for (const char* name : {"PMIX_NAMESPACE", "SLURM_JOB_ID"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != 0) {
      job = value;
      break;
    }
  }
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string name = ("gpusim-" + uuid + "-" + job).substr(0, sizeof(address.sun_path) - 2);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const int socket_descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_descriptor < 0) return true;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  // Kept open until the process ends.
  if (bind(socket_descriptor, reinterpret_cast<sockaddr*>(&address), length) == 0) return true;
  close(socket_descriptor);
  return false;
}

}  // namespace gpusim::cudart
