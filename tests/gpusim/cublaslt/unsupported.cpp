// Every exported name of the real library that is not simulated, so that programs link and start.
// The types of arguments do not matter: they are not looked at.
#include "blas/unsupported.hpp"

// A function cannot define functions by name.
#define X(name)                                   \
  extern "C" int name() {                         \
    return gpusim::blas::unsupported_call(#name); \
  }
#include "cublaslt/unsupported_names.inc"
#undef X
