// Arithmetic with -use_fast_math: approximations and flushing, within wide bounds.
//
// nvcc: -use_fast_math
#include "arithmetic_checks.cuh"

int main() {
  test_integers();
  test_functions(2e-3);
  test_halves();
  return done();
}
