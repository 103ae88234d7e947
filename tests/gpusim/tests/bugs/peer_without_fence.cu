// A volatile flag that is set without a fence before it.
// expect: peer race: .*one_shot.cuh:[0-9]+, .*: reads 4 bytes .* written by kernel .*one_shot
#define WITH_FENCES
#ifndef CORRECT
#define WITHOUT_RELEASE  // BUG
#define PLANTED
#endif
#include "one_shot.cuh"

int main(int count, char** arguments) {
  return run_ranks(2, 2, count, arguments, sum_often);
}
