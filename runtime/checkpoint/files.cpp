#include "runtime/checkpoint/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "ops/base/error.hpp"
#include "ops/base/units.hpp"

namespace ingot {
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kTemporary = ".tmp-";

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  return names;
}

/// Statistics of the file system that holds `directory`; false where they cannot be had.
bool room_of(const std::string& directory, struct statvfs& room) {
  return statvfs(directory.c_str(), &room) == 0;
}

std::int64_t free_bytes(const struct statvfs& room) {
  return static_cast<std::int64_t>(room.f_bavail) * static_cast<std::int64_t>(room.f_frsize);
}

}  // namespace

std::string step_name(std::int64_t step) {
  return fmt::format("{}{:08}", kPrefix, step);
}

std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix) || name.size() > kPrefix.size() + 18) return {};
  const std::string digits = name.substr(kPrefix.size());
  if (digits.find_first_not_of("0123456789") != std::string::npos || digits.empty()) return {};
  const std::int64_t step = std::stoll(digits);
  if (step_name(step) != name) return {};
  return step;
}

std::vector<std::int64_t> list_steps(const std::string& directory) {
  std::vector<std::int64_t> steps;
  for (const std::string& name : names_in(directory)) {
    if (const auto step = step_of(name)) steps.push_back(*step);
  }
  std::ranges::sort(steps, std::greater<>());
  return steps;
}

std::vector<std::string> list_leftovers(const std::string& directory) {
  std::vector<std::string> leftovers;
  for (const std::string& name : names_in(directory)) {
    const auto mark = name.find(kTemporary);
    if (mark != std::string::npos && step_of(name.substr(0, mark))) leftovers.push_back(name);
  }
  return leftovers;
}

void rename_over(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return;
  int problem = errno;
  if (problem == ENOTEMPTY || problem == EEXIST) {
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
    // Where the file system cannot exchange, a moment without either is the best there is.
    const std::string aside = from + "-replaced";
    if (rename(to.c_str(), aside.c_str()) == 0 && rename(from.c_str(), to.c_str()) == 0 &&
        rename(aside.c_str(), from.c_str()) == 0) {
      return;
    }
    problem = errno;
  }
  fail(ExitCode::kCannotWrite, "{}: cannot rename it to {}: {}", from, to, std::strerror(problem));
}

std::string remove_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return error ? fmt::format("{}: cannot remove: {}", path, error.message()) : "";
}

void require_room(const std::string& directory, std::int64_t bytes, std::int64_t files) {
  struct statvfs room {};
  if (!room_of(directory, room)) {
    fail(ExitCode::kCannotWrite, "{}: cannot tell the free space: {}", directory,
         std::strerror(errno));
  }
  if (free_bytes(room) < bytes) {
    fail(ExitCode::kCannotWrite,
         "{}: no room for the checkpoint{}; free some space, lower checkpoint.keep or choose "
         "another run.dir",
         directory, describe_room(directory, bytes));
  }
  // File systems without a fixed number of files report none at all.
  if (room.f_files > 0 && static_cast<std::int64_t>(room.f_favail) < files) {
    fail(
        ExitCode::kCannotWrite,
        "{}: no room for the checkpoint: {} files are needed, {} can be created; remove some files",
        directory, files, room.f_favail);
  }
}

std::string describe_room(const std::string& directory, std::int64_t needed_bytes) {
  struct statvfs room {};
  if (!room_of(directory, room)) return "";
  return fmt::format("; {} are needed, {} are free in {}",
                     approximate_bytes(static_cast<double>(needed_bytes)),
                     approximate_bytes(static_cast<double>(free_bytes(room))), directory);
}

}  // namespace ingot
