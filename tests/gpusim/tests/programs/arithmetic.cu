// Arithmetic as the compiler makes it by default: exactly rounded where IEEE 754 says so.
#include "arithmetic_checks.cuh"

int main() {
  test_exact_floats();
  test_integers();
  test_functions(2e-6);
  test_halves();
  return done();
}
