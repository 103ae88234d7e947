#include "runtime/config/load.hpp"

#include <fmt/format.h>

#include "ops/base/text.hpp"
#include "runtime/config/schema.hpp"
#include "runtime/data/dataset_file.hpp"

namespace ingot {

Config load_config(const std::string& path, std::span<const std::string> overrides) {
  return parse_config_text(yaml::read_yaml_file(path), path, overrides);
}

Config parse_config_text(std::string_view text, const std::string& name,
                         std::span<const std::string> overrides) {
  const yaml::Schema schema = config_schema();
  const yaml::Source source = {printable(name, 4096), true};
  Config config;
  config.origins.document = source.name;
  yaml::bind(schema, yaml::parse(text, source), source, &config, config.origins.places);
  for (const std::string& argument : overrides) {
    yaml::bind_override(schema, argument, &config, config.origins.places);
  }
  yaml::check_required(schema, config.origins.places, source.name);
  return config;
}

std::string render_yaml(const Config& config) {
  return yaml::render(config_schema(), &config);
}

std::string reference_markdown() {
  const Config defaults;
  return yaml::render_reference(config_schema(), &defaults);
}

std::string run_directory(const Config& config) {
  return config.run.dir.empty() ? "runs/" + config.run.name : config.run.dir;
}

std::string validation_path(const Config& config) {
  if (!config.data.validation.empty()) return config.data.validation;
  if (config.data.train.empty()) return "";
  return validation_path(config.data.train);
}

}  // namespace ingot
