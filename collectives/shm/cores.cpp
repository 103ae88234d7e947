#include "collectives/shm/cores.hpp"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace ingot::shm {

bool have_cores(Mesh& mesh, std::span<const int> members, int threads) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (sched_getaffinity(0, sizeof(mine), &mine) != 0) CPU_ZERO(&mine);
  bool enough = CPU_COUNT(&mine) >= threads;
  cpu_set_t all;
  CPU_ZERO(&all);
  const std::string told(reinterpret_cast<const char*>(&mine), sizeof(mine));
  for (const Message& message : mesh.exchange(members, told)) {
    cpu_set_t theirs;
    CPU_ZERO(&theirs);
    std::memcpy(&theirs, message.bytes.data(), std::min(message.bytes.size(), sizeof(theirs)));
    CPU_OR(&all, &all, &theirs);
    enough = enough && CPU_COUNT(&theirs) >= threads;
  }
  return enough && CPU_COUNT(&all) >= threads * static_cast<int>(members.size());
}

}  // namespace ingot::shm
