// Collects what kernels did and prints it when the process ends.
#include "report/counters.hpp"

#include <cxxabi.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "report/report.hpp"
#include "report/traffic.hpp"

namespace gpusim::report {
namespace {

struct Collected {
  std::mutex mutex;
  CountersByKernel counters;
};

Collected& collected() {
  static Collected* all = new Collected;
  return *all;
}

/// "add(float*, int)" for "_Z3addPfi".
std::string readable(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string result = status == 0 && text != nullptr ? text : name;
  std::free(text);
  return result;
}

std::string short_count(double value) {
  const char* units[] = {"", "k", "M", "G", "T", "P"};
  int unit = 0;
  while (value >= 10000 && unit < 5) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f%s" : "%.1f%s", value, units[unit]);
  return text;
}

std::string ratio(std::uint64_t a, std::uint64_t b) {
  if (b == 0) return "-";
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", static_cast<double>(a) / static_cast<double>(b));
  return text;
}

/// The rank in the job, "0" without one.
std::string rank_of_job() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID", "RANK"}) {
    const char* text = std::getenv(name);
    if (text != nullptr && *text != 0) return text;
  }
  return "0";
}

}  // namespace

void add(const std::string& kernel, int device, const KernelCounters& counters) {
  Collected& all = collected();
  std::lock_guard lock(all.mutex);
  all.counters[{kernel, device}].add(counters);
}

std::string table(const CountersByKernel& counters) {
  std::map<std::string, KernelCounters> kernels;
  for (const auto& [key, value] : counters) kernels[key.first].add(value);
  std::vector<std::pair<std::string, KernelCounters>> rows(kernels.begin(), kernels.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second.warp_instructions > b.second.warp_instructions;
  });
  std::string text;
  char line[512];
  std::snprintf(line, sizeof(line), "%9s %9s %7s %9s %9s %9s %9s %9s %9s %8s  %s\n", "launches",
                "warp ins", "lanes", "load B", "store B", "load s/r", "store s/r", "bank w/r",
                "tensor F", "barriers", "kernel");
  text += line;
  for (const auto& [name, c] : rows) {
    std::snprintf(line, sizeof(line), "%9s %9s %7s %9s %9s %9s %9s %9s %9s %8s  ",
                  short_count(static_cast<double>(c.launches)).c_str(),
                  short_count(static_cast<double>(c.warp_instructions)).c_str(),
                  ratio(c.lane_instructions, c.warp_instructions).c_str(),
                  short_count(static_cast<double>(c.global_load_bytes)).c_str(),
                  short_count(static_cast<double>(c.global_store_bytes)).c_str(),
                  ratio(c.global_load_sectors, c.global_load_requests).c_str(),
                  ratio(c.global_store_sectors, c.global_store_requests).c_str(),
                  ratio(c.shared_wavefronts, c.shared_requests).c_str(),
                  short_count(c.tensor_flops).c_str(),
                  short_count(static_cast<double>(c.barriers)).c_str());
    text += line;
    text += readable(name).substr(0, 120) + "\n";
  }
  return text;
}

std::string json(const CountersByKernel& counters) {
  nlohmann::ordered_json document;
  document["machine"] = machine().name;
  document["problems"] = problems_reported();
  auto& kernels = document["kernels"] = nlohmann::ordered_json::array();
  std::map<std::pair<int, int>, KernelCounters::Remote> links;
  for (const auto& [key, c] : counters) {
    KernelCounters::Remote remote;
    for (const auto& [owner, bytes] : c.remote) {
      remote.add(bytes);
      links[{key.second, owner}].add(bytes);
    }
    kernels.push_back({{"name", key.first},
                       {"signature", readable(key.first)},
                       {"device", key.second},
                       {"launches", c.launches},
                       {"threads", c.threads},
                       {"warp_instructions", c.warp_instructions},
                       {"lane_instructions", c.lane_instructions},
                       {"global_load_bytes", c.global_load_bytes},
                       {"global_store_bytes", c.global_store_bytes},
                       {"global_load_requests", c.global_load_requests},
                       {"global_store_requests", c.global_store_requests},
                       {"global_load_sectors", c.global_load_sectors},
                       {"global_store_sectors", c.global_store_sectors},
                       {"shared_requests", c.shared_requests},
                       {"shared_wavefronts", c.shared_wavefronts},
                       {"local_bytes", c.local_bytes},
                       {"atomics", c.atomics},
                       {"barriers", c.barriers},
                       {"tensor_instructions", c.tensor_instructions},
                       {"tensor_flops", c.tensor_flops},
                       {"divergent_branches", c.divergent_branches},
                       {"remote_load_bytes", remote.load_bytes},
                       {"remote_store_bytes", remote.store_bytes},
                       {"remote_flag_loads", remote.flag_loads},
                       {"remote_flag_stores", remote.flag_stores}});
  }
  auto by_kernels = nlohmann::ordered_json::array();
  for (const auto& [link, remote] : links) {
    by_kernels.push_back({{"by", "kernels"},
                          {"from", link.first},
                          {"to", link.second},
                          {"load_bytes", remote.load_bytes},
                          {"store_bytes", remote.store_bytes},
                          {"flag_loads", remote.flag_loads},
                          {"flag_stores", remote.flag_stores}});
  }
  write_traffic(document, by_kernels);
  return document.dump(1) + "\n";
}

void write_counters(const std::string& path) {
  CountersByKernel counters;
  {
    std::lock_guard lock(collected().mutex);
    counters = collected().counters;
  }
  if (!counters.empty()) std::fputs(table(counters).c_str(), stderr);
  if (path == "-") return;
  std::string name = path;
  const auto fill_in = [&name](const char* mark, const std::string& value) {
    const std::size_t place = name.find(mark);
    if (place != std::string::npos) name.replace(place, 2, value);
  };
  fill_in("%p", std::to_string(getpid()));
  fill_in("%r", rank_of_job());
  std::ofstream file(name, std::ios::binary);
  file << json(counters);
  if (!file) std::fprintf(stderr, "gpusim: cannot write the report to %s\n", name.c_str());
}

}  // namespace gpusim::report
