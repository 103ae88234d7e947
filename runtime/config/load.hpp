// From YAML and command line overrides to a Config and back. Loading checks each key by itself;
// validate() checks what they say together.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/config/config.hpp"

namespace ingot {

/// Reads a job description and applies overrides of the form `section.key=value` in their order.
/// Throws Error(kConfiguration) naming file, line and column or the override; Error(kUsage) for an
/// override without key or `=`.
Config load_config(const std::string& path, std::span<const std::string> overrides = {});

/// The same from text; `name` stands for the file in messages.
Config parse_config_text(std::string_view text, const std::string& name,
                         std::span<const std::string> overrides = {});

/// The configuration with all its defaults written out. parse_config_text() reads it back equal,
/// except for keys that mean nothing beside the others, which it leaves out.
std::string render_yaml(const Config& config);

/// The reference of all keys in markdown, as in configs/REFERENCE.md.
std::string reference_markdown();

/// run.dir, or its default runs/<run.name>.
std::string run_directory(const Config& config);

/// data.validation, or its default: data.train with `.validation` before its extension. Empty for a
/// mixture without data.validation. Does not look whether the file exists.
std::string validation_path(const Config& config);

}  // namespace ingot
