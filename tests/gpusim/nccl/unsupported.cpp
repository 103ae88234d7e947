// Exported names of NCCL 2.28 that are not simulated, so that programs link and start. The types of
// arguments do not matter: they are not looked at.
#include <cstdio>

#include "nccl/communicator.hpp"

// A function cannot define functions by name.
#define X(name)                                                                        \
  extern "C" ncclResult_t name##_unsupported() __asm__(#name);                         \
  extern "C" ncclResult_t name##_unsupported() {                                       \
    std::fprintf(stderr, "gpusim: note: " #name " is not simulated\n");                \
    return gpusim::nccl::refuse(nullptr, ncclInvalidUsage, #name " is not simulated"); \
  }
X(ncclCommWindowRegister)
X(ncclCommWindowDeregister)
X(ncclDevCommCreate)
X(ncclDevCommDestroy)
X(ncclGroupSimulateEnd)
#undef X
