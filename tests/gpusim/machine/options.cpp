// The options, from environment variables. A value that is not understood ends the process with
// what would be: a check silently switched off is worse than none.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

#include "machine/machine.hpp"

namespace gpusim {
namespace {

constexpr int kBadOption = 78;

[[noreturn]] void refuse(const char* name, const std::string& value, const char* expected) {
  std::fprintf(stderr, "gpusim: %s=%s: expected %s\n", name, value.c_str(), expected);
  std::fflush(stderr);
  _exit(kBadOption);
}

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? text : "";
}

double number(const char* name, double fallback, double high) {
  const std::string text = variable(name);
  if (text.empty()) return fallback;
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != 0 || !(value >= 0) || value > high) {
    refuse(name, text, "a number, not negative");
  }
  return value;
}

bool flag(const char* name) {
  const std::string text = variable(name);
  if (text.empty() || text == "0") return false;
  if (text == "1") return true;
  refuse(name, text, "0 or 1");
}

void read_checks(Options& o) {
  const std::string text = variable("GPUSIM_CHECKS");
  if (text.empty() || text == "all") return;
  const std::map<std::string, bool*> checks = {{"initialised", &o.check_initialised},
                                               {"races", &o.check_races},
                                               {"streams", &o.check_streams},
                                               {"barriers", &o.check_barriers},
                                               {"peers", &o.check_peers},
                                               {"leaks", &o.check_leaks},
                                               {"sectors", &o.count_sectors}};
  for (const auto& [name, target] : checks) *target = false;
  if (text == "none") return;
  std::istringstream list(text);
  std::string name;
  while (std::getline(list, name, ',')) {
    auto found = checks.find(name);
    if (found == checks.end()) {
      refuse("GPUSIM_CHECKS", text,
             "all, none, or some of initialised,races,streams,barriers,peers,leaks,sectors");
    }
    *found->second = true;
  }
}

Options read() {
  Options o;
  read_checks(o);
  o.seed = static_cast<std::uint64_t>(number("GPUSIM_SEED", 1, 9e15));
  o.deterministic = flag("GPUSIM_DETERMINISTIC");
  o.workers = static_cast<int>(number("GPUSIM_WORKERS", 0, 1024));
  o.delay_microseconds = number("GPUSIM_DELAY", 0, 1e9);
  o.hang_seconds = number("GPUSIM_HANG", 10, 1e9);
  o.report = variable("GPUSIM_REPORT");
  const std::string problem = variable("GPUSIM_ON_PROBLEM");
  if (problem == "continue") {
    o.on_problem = Options::OnProblem::kContinue;
  } else if (problem == "abort") {
    o.on_problem = Options::OnProblem::kAbort;
  } else if (!problem.empty() && problem != "exit") {
    refuse("GPUSIM_ON_PROBLEM", problem, "exit, continue or abort");
  }
  return o;
}

}  // namespace

const Options& options() {
  static const Options* loaded = new Options(read());
  return *loaded;
}

}  // namespace gpusim
