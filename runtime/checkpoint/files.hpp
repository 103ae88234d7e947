// Files and folders of checkpoints: durable writing, room on the disk, names. Nothing here knows
// what is inside a checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ingot {

/// "step-00001000"
std::string step_name(std::int64_t step);
/// The step of a committed checkpoint's folder name; empty for any other name.
std::optional<std::int64_t> step_of(const std::string& name);
/// Committed checkpoints in a folder, newest first; none where there is no such folder.
std::vector<std::int64_t> list_steps(const std::string& directory);
/// Names of "step-*.tmp-*": what interrupted saves and removals left.
std::vector<std::string> list_leftovers(const std::string& directory);

/// Gives `from` the name `to`, atomically; what had that name before goes to `from`. Error
/// (kCannotWrite).
void rename_over(const std::string& from, const std::string& to);
/// Removes a folder with all it holds, following no links. The error's text, or empty.
std::string remove_folder(const std::string& path);

/// Fails with kCannotWrite, saying what is needed and what is free, unless the file system of
/// `directory` has room for these bytes and files.
void require_room(const std::string& directory, std::int64_t bytes, std::int64_t files);
/// "; 12.0 MiB are needed, 1.00 MiB are free in runs/a", for messages about failed writes.
std::string describe_room(const std::string& directory, std::int64_t needed_bytes);

}  // namespace ingot
