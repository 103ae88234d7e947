// Finds the machine file: GPUSIM_MACHINE is a path, or a name in the folder machines/ beside the
// library (where the build copies it).
#include "machine/machine.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "machine/parse.hpp"

namespace gpusim {
namespace {

constexpr int kBadMachine = 78;

[[noreturn]] void refuse(const std::string& text) {
  std::fprintf(stderr, "gpusim: %s\n", text.c_str());
  std::fflush(stderr);
  _exit(kBadMachine);
}

/// The folder of this library, with a slash behind it.
std::string library_folder() {
  Dl_info info = {};
  if (dladdr(reinterpret_cast<const void*>(&local_ranks), &info) == 0) return "";
  std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

bool read_file(const std::string& path, std::string& text) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return false;
  text.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  return true;
}

Machine small_machine() {
  const std::string text = "name: small\ndevices: [{count: ranks}]\nlinks: [{between: all}]\n";
  return parse_machine(text, "the default machine", local_ranks());
}

Machine load() {
  const char* given = std::getenv("GPUSIM_MACHINE");
  if (given == nullptr || *given == 0) return small_machine();
  const std::string name = given;
  std::string text;
  std::string path = name;
  if (!read_file(path, text) || name.find('/') == std::string::npos) {
    std::string beside = library_folder() + "machines/" + name;
    if (beside.size() < 5 || beside.substr(beside.size() - 5) != ".yaml") beside += ".yaml";
    std::string other;
    if (read_file(beside, other)) {
      text = other;
      path = beside;
    } else if (text.empty()) {
      refuse("GPUSIM_MACHINE=" + name + ": there is neither this file nor " + beside);
    }
  }
  try {
    return parse_machine(text, path, local_ranks());
  } catch (const MachineError& error) {
    refuse(error.what());
  }
}

}  // namespace

int local_ranks() {
  const char* names[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"};
  for (const char* name : names) {
    const char* text = std::getenv(name);
    int value = text != nullptr ? std::atoi(text) : 0;
    if (value > 0 && value <= 64) return value;
  }
  return 1;
}

const Machine& machine() {
  static const Machine* loaded = new Machine(load());
  return *loaded;
}

}  // namespace gpusim
