#include "ops/device/cpu/free_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "ops/base/units.hpp"

namespace ingot::cpu {

namespace {

constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::max();

/// The first word of a file as a number; nothing for "max" or where there is no such file.
std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return {};
  return parse_integer(word);
}

/// The number behind `name` in a file of "name number" lines.
std::int64_t entry_of(const std::string& path, const std::string& name, std::int64_t otherwise) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string found;
    std::int64_t value = 0;
    if (words >> found >> value && found == name) return value;
  }
  return otherwise;
}

/// File names of one version of control groups.
struct GroupFiles {
  std::string mount;
  const char* limit;
  const char* usage;
  const char* cache;  ///< in memory.stat: pages that the kernel drops when memory is wanted
};

/// What the group at `path` and those around it leave. A container may see its own group as the
/// mount's root, with a path from outside of it: groups that are not there are passed over.
std::int64_t left_in_groups(const GroupFiles& files, std::string path) {
  std::int64_t left = kUnknown;
  while (true) {
    const std::string folder = files.mount + (path == "/" ? "" : path) + "/";
    const auto limit = number_in(folder + files.limit);
    const auto usage = number_in(folder + files.usage);
    if (limit && usage) {
      const std::int64_t cache = entry_of(folder + "memory.stat", files.cache, 0);
      left = std::min(left, std::max<std::int64_t>(0, *limit - std::max(*usage - cache, {})));
    }
    if (path.size() <= 1) return left;
    path = path.substr(0, std::max<std::size_t>(1, path.rfind('/')));
  }
}

}  // namespace

std::int64_t free_memory(const std::string& root) {
  std::int64_t left = kUnknown;
  const std::int64_t kibibytes = entry_of(root + "/proc/meminfo", "MemAvailable:", -1);
  if (kibibytes >= 0) left = kibibytes * 1024;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // hierarchy:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (path.empty() || path[0] != '/') continue;
    const std::string mount = root + "/sys/fs/cgroup";
    if (controllers == ",,") {
      left = std::min(
          left, left_in_groups({mount, "memory.max", "memory.current", "inactive_file"}, path));
    } else if (controllers.find(",memory,") != std::string::npos) {
      left = std::min(left, left_in_groups({mount + "/memory", "memory.limit_in_bytes",
                                            "memory.usage_in_bytes", "total_inactive_file"},
                                           path));
    }
  }
  return left;
}

}  // namespace ingot::cpu
