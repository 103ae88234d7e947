#include "runtime/train/run_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "ops/base/error.hpp"
#include "ops/base/file.hpp"
#include "ops/base/log.hpp"
#include "runtime/config/load.hpp"

namespace ingot {

namespace {

/// Takes an advisory lock that the kernel drops with the process, so that no crash leaves it
/// behind.
int lock_file(const std::string& path, mode_t mode) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, mode);
  if (descriptor < 0) {
    fail(ExitCode::kCannotWrite, "{}: {}", path, system_message(errno));
  }
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
    const std::string owner = fmt::format("{} pid {}\n", host_name(), getpid());
    // Only a help for the message below: a failure to write it costs nothing.
    if (ftruncate(descriptor, 0) == 0) (void)!write(descriptor, owner.data(), owner.size());
    return descriptor;
  }
  const int error = errno;
  char owner[256] = {};
  const ssize_t length = read(descriptor, owner, sizeof owner - 1);
  close(descriptor);
  if (error != EWOULDBLOCK) return -1;  // a file system without locks: go on without one
  std::string who(owner, length > 0 ? static_cast<std::size_t>(length) : 0);
  while (!who.empty() && who.back() == '\n') who.pop_back();
  fail(ExitCode::kCannotWrite,
       "{}: another run is writing here ({}): wait for it, or set another run.name or run.dir",
       path, who.empty() ? "unknown" : who);
}

}  // namespace

RunDirectory::RunDirectory(const Config& config, bool lock)
    : path_(run_directory(config)), private_(config.run.private_) {
  if (!lock) return;
  create_folders(path_, private_ ? FileAccess::kPrivate : FileAccess::kShared);
  lock_ = lock_file(path_ + "/.lock", private_ ? 0600 : 0644);
}

RunDirectory::~RunDirectory() {
  if (lock_ >= 0) close(lock_);
}

void RunDirectory::describe(const Config& config, const Environment& environment) const {
  const FileAccess access = private_ ? FileAccess::kPrivate : FileAccess::kShared;
  write_file_atomically(path_ + "/config.yaml", render_yaml(config), access);
  utsname system{};
  uname(&system);
  nlohmann::json json = {{"device", environment.device},
                         {"instruction_set", environment.isa},
                         {"transport", environment.transport},
                         {"ranks", environment.ranks},
                         {"threads_per_rank", environment.threads},
                         {"host", host_name()},
                         {"kernel", std::string(system.release)},
                         {"command", environment.command_line}};
  if (!environment.direct.empty()) json["direct"] = environment.direct;
  if (!environment.nccl_variables.empty()) json["nccl_variables"] = environment.nccl_variables;
  write_file_atomically(path_ + "/environment.json",
                        json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                        access);
}

}  // namespace ingot
