// Fuzzes the whole path from the bytes of a job description to a validated configuration. Input is
// the document; lines behind a line `%%` are overrides. Whatever is accepted must render to YAML
// that reads back equal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/error.hpp"
#include "runtime/config/load.hpp"
#include "runtime/config/validate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> overrides;
  const std::size_t split = text.find("\n%%\n");
  if (split != std::string_view::npos) {
    std::string_view rest = text.substr(split + 4);
    text = text.substr(0, split + 1);
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      overrides.emplace_back(rest.substr(0, end));
      rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
    }
  }
  try {
    const ingot::Config config = ingot::parse_config_text(text, "fuzz.yaml", overrides);
    ingot::validate(config, 2);
    const ingot::Config again = ingot::parse_config_text(ingot::render_yaml(config), "again.yaml");
    if (!(again == config)) std::abort();
  } catch (const ingot::Error& error) {
    // Refusing is right; a bug of ours is not.
    if (error.code() == ingot::ExitCode::kInternal) std::abort();
  }
  return 0;
}
