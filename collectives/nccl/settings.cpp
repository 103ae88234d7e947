#include "collectives/nccl/settings.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace ingot {
namespace {

constexpr const char* kPrefix = "NCCL_";

std::map<std::string, std::string> nccl_variables() {
  std::map<std::string, std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const char* equals = std::strchr(*entry, '=');
    if (equals == nullptr || std::strncmp(*entry, kPrefix, std::strlen(kPrefix)) != 0) continue;
    found.emplace(std::string(static_cast<const char*>(*entry), equals), equals + 1);
  }
  return found;
}

void set_default(const char* name, const std::string& value) {
  setenv(name, value.c_str(), 0);
}

/// NCCL puts host and process in place of %h and %p, and one % in place of two.
std::string without_placeholders(const std::string& path) {
  std::string text;
  for (const char sign : path) text += sign == '%' ? "%%" : std::string(1, sign);
  return text;
}

}  // namespace

NcclSettings prepare_nccl(const std::string& folder, int rank) {
  NcclSettings settings{nccl_variables(), ""};
  set_default("NCCL_RUNTIME_CONNECT", "0");
  if (folder.empty() || settings.user.contains("NCCL_DEBUG")) return settings;
  set_default("NCCL_DEBUG", "INFO");
  set_default("NCCL_DEBUG_SUBSYS", "INIT,ENV,GRAPH,TUNING");
  if (const auto file = settings.user.find("NCCL_DEBUG_FILE"); file != settings.user.end()) {
    settings.log = file->second;
    return settings;
  }
  settings.log =
      (std::filesystem::path(folder) / fmt::format("nccl-rank-{:05}.log", rank)).string();
  set_default("NCCL_DEBUG_FILE", without_placeholders(settings.log));
  return settings;
}

std::string text_of(const std::map<std::string, std::string>& variables) {
  std::string text;
  for (const auto& [name, value] : variables) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
  }
  return text;
}

}  // namespace ingot
