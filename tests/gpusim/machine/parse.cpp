// Reads machine files strictly: unknown keys, repeated keys and values out of range are errors with
// their place. README.md lists the keys.
#include "machine/parse.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "machine/error_codes.hpp"

namespace gpusim {
namespace {

class Reader {
 public:
  Reader(std::string file, int ranks) : file_(std::move(file)), ranks_(ranks) {}

  using Fields = std::map<std::string, std::function<void(const YAML::Node&)>>;

  [[noreturn]] void fail(const YAML::Node& node, const std::string& text) const {
    fail(node.Mark(), text);
  }
  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& text) const {
    throw MachineError(file_ + ":" + std::to_string(mark.line + 1) + ":" +
                       std::to_string(mark.column + 1) + ": " + text);
  }

  void read_map(const YAML::Node& node, const char* what, const Fields& fields) const {
    if (!node.IsMap()) fail(node, std::string("expected the keys of ") + what);
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const auto key = entry.first.as<std::string>();
      auto field = fields.find(key);
      if (field == fields.end()) {
        std::string known;
        for (const auto& [name, unused] : fields) known += (known.empty() ? "" : ", ") + name;
        fail(entry.first, "unknown key '" + key + "' of " + what + "; known: " + known);
      }
      if (!seen.insert(key).second) fail(entry.first, "key '" + key + "' is given twice");
      field->second(entry.second);
    }
  }

  std::string text(const YAML::Node& node) const {
    if (!node.IsScalar()) fail(node, "expected a text");
    return node.Scalar();
  }
  bool flag(const YAML::Node& node) const {
    if (node.IsScalar()) {
      if (node.Scalar() == "true") return true;
      if (node.Scalar() == "false") return false;
    }
    fail(node, "expected true or false");
  }
  double real(const YAML::Node& node) const {
    double value = 0;
    if (!node.IsScalar() || !YAML::convert<double>::decode(node, value) || !(value >= 0)) {
      fail(node, "expected a number, not negative");
    }
    return value;
  }
  /// Decimal or 0x...; sizes may carry KiB, MiB or GiB.
  std::uint64_t whole(const YAML::Node& node, std::uint64_t low, std::uint64_t high) const {
    const std::string wanted =
        "expected a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    if (!node.IsScalar() || node.Scalar().empty() || node.Scalar()[0] == '-') fail(node, wanted);
    const std::string& s = node.Scalar();
    char* end = nullptr;
    std::uint64_t value = std::strtoull(s.c_str(), &end, 0);
    std::string unit = end;
    unit.erase(0, unit.find_first_not_of(' '));
    int shift = 0;
    if (unit == "KiB") shift = 10;
    if (unit == "MiB") shift = 20;
    if (unit == "GiB") shift = 30;
    if (end == s.c_str() || (!unit.empty() && shift == 0)) fail(node, wanted);
    if (value > (std::numeric_limits<std::uint64_t>::max() >> shift)) fail(node, wanted);
    value <<= shift;
    if (value < low || value > high) fail(node, wanted + ", found " + s);
    return value;
  }
  template <typename T>
  auto into(T& target, std::uint64_t low, std::uint64_t high) const {
    return [this, &target, low, high](const YAML::Node& node) {
      target = static_cast<T>(whole(node, low, high));
    };
  }
  auto into(std::string& target) const {
    return [this, &target](const YAML::Node& node) { target = text(node); };
  }
  auto into(bool& target) const {
    return [this, &target](const YAML::Node& node) { target = flag(node); };
  }

  void read_devices(const YAML::Node& list, Machine& machine) const;
  void read_links(const YAML::Node& list, Machine& machine) const;
  void read_faults(const YAML::Node& list, Machine& machine) const;
  Machine read(const YAML::Node& root) const;

 private:
  void read_device_group(const YAML::Node& node, Machine& machine) const;
  std::string file_;
  int ranks_;
};

void Reader::read_device_group(const YAML::Node& node, Machine& machine) const {
  constexpr std::uint64_t kInt = std::numeric_limits<int>::max();
  DeviceModel model;
  std::uint64_t count = 1;
  std::vector<int> buses, numa;
  auto one_or_list = [this](std::vector<int>& target, std::uint64_t high) {
    return [this, &target, high](const YAML::Node& value) {
      if (!value.IsSequence()) {
        target.push_back(static_cast<int>(whole(value, 0, high)));
        return;
      }
      for (const auto& item : value) target.push_back(static_cast<int>(whole(item, 0, high)));
    };
  };
  Fields fields = {
      {"count",
       [&](const YAML::Node& n) {
         bool ranks = n.IsScalar() && n.Scalar() == "ranks";
         count = ranks ? static_cast<std::uint64_t>(ranks_) : whole(n, 1, 64);
       }},
      {"name", into(model.name)},
      {"architecture",
       [&](const YAML::Node& n) { model.architecture = static_cast<int>(whole(n, 75, 129)); }},
      {"architecture_specific", into(model.architecture_specific)},
      {"multiprocessors", into(model.multiprocessors, 1, 1024)},
      {"memory", into(model.memory_bytes, 1 << 20, 1ULL << 39)},
      {"shared_per_multiprocessor", into(model.shared_per_multiprocessor, 49152, 256 * 1024)},
      {"shared_per_block", into(model.shared_per_block, 16384, 256 * 1024)},
      {"shared_per_block_optin", into(model.shared_per_block_optin, 49152, 256 * 1024)},
      {"shared_reserved_per_block", into(model.shared_reserved_per_block, 0, 16384)},
      {"registers_per_multiprocessor", into(model.registers_per_multiprocessor, 16384, 1 << 20)},
      {"threads_per_multiprocessor", into(model.threads_per_multiprocessor, 1024, 4096)},
      {"blocks_per_multiprocessor", into(model.blocks_per_multiprocessor, 1, 64)},
      {"l2", into(model.l2_bytes, 0, kInt)},
      {"clock_khz", into(model.clock_khz, 1, kInt)},
      {"memory_clock_khz", into(model.memory_clock_khz, 1, kInt)},
      {"memory_bus_bits", into(model.memory_bus_bits, 8, 1 << 16)},
      {"mig", into(model.mig)},
      {"uuid", into(model.uuid)},
      {"pci_bus", one_or_list(buses, 255)},
      {"numa_node", one_or_list(numa, 63)},
  };
  read_map(node, "a device", fields);
  if (count > 1 && !model.uuid.empty()) fail(node, "several devices cannot share one uuid");
  auto check = [&](const std::vector<int>& list, const char* key) {
    if (list.size() > 1 && list.size() != count) {
      fail(node[key], std::string(key) + " lists " + std::to_string(list.size()) + " values for " +
                          std::to_string(count) + " devices");
    }
  };
  check(buses, "pci_bus");
  check(numa, "numa_node");
  for (std::uint64_t i = 0; i < count; ++i) {
    DeviceModel device = model;
    const auto index = machine.devices.size();
    if (!numa.empty()) device.numa_node = numa.size() > 1 ? numa[i] : numa[0];
    device.pci_bus = static_cast<int>(index * 16 + 7);
    if (!buses.empty())
      device.pci_bus = buses.size() > 1 ? buses[i] : buses[0] + static_cast<int>(i);
    if (device.uuid.empty()) {
      char text[64];
      std::snprintf(text, sizeof(text), "GPU-67707573-696d-0000-0000-%012x",
                    static_cast<unsigned>(index + 1));
      device.uuid = text;
    }
    for (const DeviceModel& other : machine.devices) {
      if (other.pci_bus == device.pci_bus) {
        fail(node, "two devices have the pci_bus " + std::to_string(device.pci_bus));
      }
    }
    machine.devices.push_back(device);
  }
}

void Reader::read_devices(const YAML::Node& list, Machine& machine) const {
  if (!list.IsSequence()) fail(list, "expected a list of devices, perhaps an empty one: []");
  for (const auto& node : list) read_device_group(node, machine);
}

void Reader::read_links(const YAML::Node& list, Machine& machine) const {
  if (!list.IsSequence()) fail(list, "expected a list of links");
  const int devices = static_cast<int>(machine.devices.size());
  for (const auto& node : list) {
    Link link;
    std::vector<std::pair<int, int>> pairs;
    bool given = false;
    Fields fields = {
        {"between",
         [&](const YAML::Node& n) {
           given = true;
           std::vector<int> members;
           if (n.IsScalar() && n.Scalar() == "all") {
             for (int i = 0; i < devices; ++i) members.push_back(i);
           } else if (n.IsSequence() && n.size() >= 2 && devices > 0) {
             for (const auto& item : n) {
               members.push_back(
                   static_cast<int>(whole(item, 0, static_cast<std::uint64_t>(devices - 1))));
             }
           } else {
             fail(n, "expected 'all' or a list of at least two devices");
           }
           for (std::size_t i = 0; i < members.size(); ++i) {
             for (std::size_t j = i + 1; j < members.size(); ++j) {
               if (members[i] == members[j]) fail(n, "a device is not linked to itself");
               pairs.emplace_back(members[i], members[j]);
             }
           }
         }},
        {"kind",
         [&](const YAML::Node& n) {
           link.kind = text(n);
           if (link.kind != "nvlink" && link.kind != "pcie" && link.kind != "host") {
             fail(n, "expected nvlink, pcie or host, found " + link.kind);
           }
         }},
        {"lanes", into(link.lanes, 0, 64)},
        {"gigabytes_per_second", [&](const YAML::Node& n) { link.gigabytes_per_second = real(n); }},
        {"peer_access", into(link.peer_access)},
    };
    read_map(node, "a link", fields);
    if (!given) fail(node, "a link needs the key 'between'");
    for (const auto& [a, b] : pairs) {
      Link one = link;
      one.a = a;
      one.b = b;
      // Later entries say more than earlier ones: "all", then the exceptions.
      auto same = [&](const Link& l) { return (l.a == a && l.b == b) || (l.a == b && l.b == a); };
      std::erase_if(machine.links, same);
      machine.links.push_back(one);
    }
  }
}

void Reader::read_faults(const YAML::Node& list, Machine& machine) const {
  if (!list.IsSequence()) fail(list, "expected a list of faults");
  for (const auto& node : list) {
    InjectedFault fault;
    Fields fields = {
        {"call", into(fault.call)},
        {"device",
         [&](const YAML::Node& n) {
           if (n.IsScalar() && n.Scalar() == "any") return;
           fault.device =
               static_cast<int>(whole(n, 0, std::max<std::size_t>(machine.devices.size(), 1) - 1));
         }},
        {"count", into(fault.count, 1, ~0ULL)},
        {"error",
         [&](const YAML::Node& n) {
           fault.error = error_code(text(n));
           if (fault.error < 0) {
             fail(n, "expected the name or number of a cudaError_t, found " + text(n));
           }
         }},
    };
    read_map(node, "a fault", fields);
    if (fault.call.empty()) fail(node, "a fault needs the key 'call'");
    machine.faults.push_back(fault);
  }
}

Machine Reader::read(const YAML::Node& root) const {
  Machine machine;
  YAML::Node devices, links, faults;
  auto keep = [](YAML::Node& target) {
    return [&target](const YAML::Node& node) { target.reset(node); };
  };
  Fields fields = {
      {"name", into(machine.name)},
      {"driver_version", into(machine.driver_version, 0, 99999)},
      {"devices", keep(devices)},
      {"links", keep(links)},
      {"faults", keep(faults)},
      {"pageable_memory_access", into(machine.pageable_memory_access)},
      {"exclusive_process", into(machine.exclusive_process)},
      {"foreign_processes", into(machine.foreign_processes, 0, 64)},
  };
  read_map(root, "a machine", fields);
  if (!devices.IsDefined() || devices.IsNull()) fail(root, "a machine needs the key 'devices'");
  read_devices(devices, machine);
  if (links.IsDefined() && !links.IsNull()) read_links(links, machine);
  if (faults.IsDefined() && !faults.IsNull()) read_faults(faults, machine);
  return machine;
}

}  // namespace

Machine parse_machine(const std::string& text, const std::string& file, int ranks) {
  Reader reader(file, ranks);
  try {
    return reader.read(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    reader.fail(error.mark, error.msg);
  }
}

}  // namespace gpusim
