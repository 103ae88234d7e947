// The same arithmetic compiled without optimisation, for the debugger.
//
// nvcc: -G
#include "arithmetic_checks.cuh"

int main() {
  test_exact_floats();
  test_integers();
  test_halves();
  return done();
}
