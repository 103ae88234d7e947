#include "nccl/faults.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>

namespace gpusim::nccl {

namespace {

struct Form {
  InjectedFault::Kind kind;
  std::vector<std::string> keys;
};

const std::map<std::string, Form>& forms() {
  using Kind = InjectedFault::Kind;
  static const std::map<std::string, Form> all = {
      {"hang", {Kind::kHang, {"rank", "operation"}}},
      {"fail", {Kind::kFail, {"rank", "operation"}}},
      {"cut", {Kind::kCut, {"rank", "peer", "operation"}}},
      {"delay", {Kind::kDelay, {"rank", "milliseconds"}}}};
  return all;
}

bool parse_fault(const std::string& text, InjectedFault& fault, std::string& why) {
  std::istringstream words(text);
  std::string word;
  words >> word;
  const auto form = forms().find(word);
  if (form == forms().end()) {
    why = "'" + word + "' is no fault; expected hang, fail, cut or delay";
    return false;
  }
  fault.kind = form->second.kind;
  std::map<std::string, int> values;
  while (words >> word) {
    const std::size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    int value = 0;
    const char* end = word.data() + word.size();
    const char* begin = equals == std::string::npos ? end : word.data() + equals + 1;
    const auto [last, error] = std::from_chars(begin, end, value);
    if (error != std::errc() || last != end || value < 0) {
      why = "'" + word + "': expected KEY=NUMBER";
      return false;
    }
    values[key] = value;
  }
  for (const std::string& key : form->second.keys) {
    if (!values.contains(key)) {
      why = "'" + text + "' does not say " + key + "=";
      return false;
    }
  }
  if (values.size() != form->second.keys.size()) {
    why = "'" + text + "' says more than " + form->first + " takes";
    return false;
  }
  fault.rank = values["rank"];
  fault.peer = values["peer"];
  fault.operation = static_cast<std::uint64_t>(values["operation"]);
  fault.milliseconds = values["milliseconds"];
  return true;
}

}  // namespace

std::vector<InjectedFault> parse_faults(const std::string& text, std::string& why) {
  std::vector<InjectedFault> faults;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ';');) {
    if (part.find_first_not_of(' ') == std::string::npos) continue;
    if (!parse_fault(part, faults.emplace_back(), why)) return {};
  }
  return faults;
}

const std::vector<InjectedFault>& injected_faults() {
  static const std::vector<InjectedFault> faults = [] {
    const char* text = std::getenv("GPUSIM_NCCL_FAULTS");
    std::string why;
    std::vector<InjectedFault> parsed = parse_faults(text == nullptr ? "" : text, why);
    if (!why.empty()) {
      std::fprintf(stderr, "gpusim: GPUSIM_NCCL_FAULTS: %s\n", why.c_str());
      std::_Exit(78);
    }
    return parsed;
  }();
  return faults;
}

}  // namespace gpusim::nccl
