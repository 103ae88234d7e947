// How devices reach each other, from the links of the machine file. NVLinks of a device that has
// them lead to its peers in turn: the first `lanes` of the first peer, then the next one's; where
// every pair is linked at full width (through switches), all lead to a switch.
#include <cstring>
#include <vector>

#include "nvml/nvml.hpp"

namespace gpusim::nvml {

const Link* link_between(int a, int b) {
  for (const Link& link : machine().links) {
    if ((link.a == a && link.b == b) || (link.a == b && link.b == a)) return &link;
  }
  return nullptr;
}

namespace {

constexpr int kSwitch = -1;

/// Where each NVLink of a device leads: a device, or kSwitch.
std::vector<int> nvlinks(int device) {
  int peers = 0, lanes = 0;
  for (const Link& link : machine().links) {
    if (link.kind != "nvlink" || (link.a != device && link.b != device)) continue;
    ++peers;
    lanes = link.lanes;
  }
  std::vector<int> result;
  if (peers > 2) {
    result.assign(static_cast<std::size_t>(lanes), kSwitch);
    return result;
  }
  for (const Link& link : machine().links) {
    if (link.kind != "nvlink" || (link.a != device && link.b != device)) continue;
    const int other = link.a == device ? link.b : link.a;
    result.insert(result.end(), static_cast<std::size_t>(link.lanes), other);
  }
  return result;
}

}  // namespace
}  // namespace gpusim::nvml

using namespace gpusim;
using namespace gpusim::nvml;

extern "C" {

int nvmlDeviceGetTopologyCommonAncestor(Device a, Device b, int* level) {
  if (Result result = check(a); result != kSuccess) return result;
  if (Result result = check(b); result != kSuccess) return result;
  const Link* link = link_between(index_of(a), index_of(b));
  int value = a->numa_node == b->numa_node ? 40 : 50;       // node, system
  if (link != nullptr && link->kind == "pcie") value = 20;  // several PCIe switches
  if (a == b) value = 0;
  return give(a, level, value);
}

int nvmlDeviceGetTopologyNearestGpus(Device device, int level, unsigned* count, Device* list) {
  if (Result result = check(device); result != kSuccess) return result;
  if (count == nullptr) return kInvalidArgument;
  unsigned found = 0;
  for (const DeviceModel& other : machine().devices) {
    int common = 0;
    if (&other == device ||
        nvmlDeviceGetTopologyCommonAncestor(device, &other, &common) != kSuccess ||
        common > level) {
      continue;
    }
    if (list != nullptr && found < *count) list[found] = &other;
    ++found;
  }
  *count = found;
  return kSuccess;
}

int nvmlDeviceGetP2PStatus(Device a, Device b, int capability, int* status) {
  if (Result result = check(a); result != kSuccess) return result;
  if (Result result = check(b); result != kSuccess) return result;
  constexpr int kOk = 0, kTopology = 3, kNone = 5;
  constexpr int kNvlink = 2, kAtomics = 3;
  const Link* link = link_between(index_of(a), index_of(b));
  int value = link != nullptr && link->peer_access ? kOk : kTopology;
  const bool needs_nvlink = capability == kNvlink || capability == kAtomics;
  if (needs_nvlink && (link == nullptr || link->kind != "nvlink")) value = kNone;
  if (a == b) value = kOk;
  return give(a, status, value);
}

int nvmlDeviceGetNvLinkState(Device device, unsigned link, int* active) {
  if (Result result = check(device); result != kSuccess) return result;
  if (link >= nvlinks(index_of(device)).size()) return kInvalidArgument;
  return give(device, active, 1);
}

int nvmlDeviceGetNvLinkVersion(Device device, unsigned link, unsigned* version) {
  if (Result result = check(device); result != kSuccess) return result;
  if (link >= nvlinks(index_of(device)).size()) return kInvalidArgument;
  unsigned value = 3;
  if (device->architecture >= 90) value = 4;
  if (device->architecture >= 100) value = 5;
  return give(device, version, value);
}

int nvmlDeviceGetNvLinkCapability(Device device, unsigned link, int, unsigned* value) {
  if (Result result = check(device); result != kSuccess) return result;
  if (link >= nvlinks(index_of(device)).size()) return kInvalidArgument;
  return give(device, value, 1);
}

int nvmlDeviceGetNvLinkErrorCounter(Device device, unsigned link, int, unsigned long long* count) {
  if (Result result = check(device); result != kSuccess) return result;
  if (link >= nvlinks(index_of(device)).size()) return kInvalidArgument;
  return give(device, count, 0);
}

int nvmlDeviceGetNvLinkRemoteDeviceType(Device device, unsigned link, int* type) {
  if (Result result = check(device); result != kSuccess) return result;
  const std::vector<int> links = nvlinks(index_of(device));
  if (link >= links.size()) return kInvalidArgument;
  return give(device, type, links[link] == kSwitch ? 2 : 0);
}

int nvmlDeviceGetPciInfo_v3(Device device, PciInfo* info);

int nvmlDeviceGetNvLinkRemotePciInfo_v2(Device device, unsigned link, PciInfo* info) {
  if (Result result = check(device); result != kSuccess) return result;
  const std::vector<int> links = nvlinks(index_of(device));
  if (link >= links.size() || info == nullptr) return kInvalidArgument;
  if (links[link] != kSwitch) {
    return nvmlDeviceGetPciInfo_v3(&machine().devices[static_cast<std::size_t>(links[link])], info);
  }
  *info = {};
  info->bus = 0xfe;
  std::strcpy(info->bus_id_legacy, "0000:FE:00.0");
  std::strcpy(info->bus_id, "00000000:FE:00.0");
  return kSuccess;
}

}  // extern "C"
