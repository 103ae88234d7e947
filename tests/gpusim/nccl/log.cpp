#include "nccl/log.hpp"

#include <nccl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <sstream>
#include <string_view>

#ifndef NCCL_SUFFIX
#define NCCL_SUFFIX ""
#endif

namespace gpusim::nccl {

namespace {

enum class Level : std::uint8_t { kNone, kVersion, kWarning, kInfo };

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Level level_of(const std::string& text) {
  if (text == "VERSION") return Level::kVersion;
  if (text == "WARN") return Level::kWarning;
  return text == "INFO" || text == "TRACE" ? Level::kInfo : Level::kNone;
}

const char* name_of(Subsystem subsystem) {
  constexpr const char* kNames[] = {"INIT", "BOOTSTRAP", "ENV", "GRAPH", "TUNING", "REG"};
  return kNames[static_cast<std::size_t>(subsystem)];
}

std::string host() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return std::string(name).substr(0, std::strcspn(name, "."));
}

/// With %h and %p replaced and %% made one; other signs stay.
std::string file_name(const std::string& pattern) {
  std::string name;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char next = pattern[i] == '%' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (next == 'h') name += host();
    if (next == 'p') name += std::to_string(::getpid());
    if (next == '%') name += '%';
    if (next == 'h' || next == 'p' || next == '%') {
      ++i;
    } else {
      name += pattern[i];
    }
  }
  return name;
}

/// Read once, as the library does: what the program sets later changes nothing.
class Log {
 public:
  Log() : level_(level_of(variable("NCCL_DEBUG"))) {
    std::string list = variable("NCCL_DEBUG_SUBSYS");
    if (list.empty()) list = "INIT,BOOTSTRAP,ENV";
    inverted_ = list.starts_with('^');
    std::istringstream words(inverted_ ? list.substr(1) : list);
    for (std::string word; std::getline(words, word, ',');) subsystems_.insert(word);
    const std::string pattern = variable("NCCL_DEBUG_FILE");
    if (level_ == Level::kNone || level_ == Level::kVersion || pattern.empty()) return;
    std::FILE* file = std::fopen(file_name(pattern).c_str(), "w");
    if (file != nullptr) file_ = file;
  }

  bool writes(Level level) const { return level_ >= level; }
  bool writes(Subsystem subsystem) const {
    const bool named = subsystems_.contains("ALL") || subsystems_.contains(name_of(subsystem));
    return writes(Level::kInfo) && named != inverted_;
  }
  void write(int device, const char* kind, const std::string& text) {
    const std::lock_guard lock(mutex_);
    std::fprintf(file_, "%s:%d:%d [%d] NCCL %s %s\n", host().c_str(), ::getpid(), ::gettid(),
                 device, kind, text.c_str());
    std::fflush(file_);
  }
  void write_version() {
    const std::lock_guard lock(mutex_);
    std::fprintf(file_, "NCCL version %d.%d.%d%s\n", NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH,
                 NCCL_SUFFIX);
    std::fflush(file_);
  }

 private:
  Level level_;
  bool inverted_ = false;
  std::set<std::string> subsystems_;
  std::FILE* file_ = stdout;
  std::mutex mutex_;
};

Log& the_log() {
  static Log* log = new Log;
  return *log;
}

}  // namespace

bool logs_info(Subsystem subsystem) {
  return the_log().writes(subsystem);
}

void log_info(Subsystem subsystem, int device, const std::string& text) {
  if (logs_info(subsystem)) the_log().write(device, "INFO", text);
}

void log_warning(int device, const std::string& text) {
  if (the_log().writes(Level::kWarning)) the_log().write(device, "WARN", text);
}

void log_start(int device) {
  static std::once_flag once;
  std::call_once(once, [device] {
    if (the_log().writes(Level::kVersion)) the_log().write_version();
    if (!logs_info(Subsystem::kEnv)) return;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      const std::size_t equals = text.find('=');
      if (!text.starts_with("NCCL_") || equals == std::string_view::npos) continue;
      log_info(Subsystem::kEnv, device,
               std::string(text.substr(0, equals)) + " set by environment to " +
                   std::string(text.substr(equals + 1)));
    }
  });
}

}  // namespace gpusim::nccl
