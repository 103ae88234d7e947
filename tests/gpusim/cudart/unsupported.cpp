// Every name that the real library exports, as a weak function that refuses: programs link and
// start, and learn which call is missing when they make it. A definition elsewhere in this library
// takes its place. This file knows no prototypes: arguments stay where the caller put them.
#include <cstdio>

namespace {

constexpr int kNotSupported = 801;  // cudaErrorNotSupported

int refuse(const char* name, bool& told) {
  if (!told) {
    told = true;
    std::fprintf(stderr, "gpusim: note: %s is not supported by the simulator\n", name);
  }
  return kNotSupported;
}

}  // namespace

// A name can only be pasted by the preprocessor.
#define GPUSIM_EXPORT(name)                     \
  extern "C" __attribute__((weak)) int name();  \
  extern "C" __attribute__((weak)) int name() { \
    static bool told = false;                   \
    return refuse(#name, told);                 \
  }
#include "cudart/exported_names.inc"
#undef GPUSIM_EXPORT
