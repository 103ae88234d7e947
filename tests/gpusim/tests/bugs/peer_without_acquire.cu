// A flag that is read without an acquire.
// expect: peer race: .*one_shot.cuh:[0-9]+, .*: reads 4 bytes .* written by kernel .*one_shot
#ifndef CORRECT
#define WITHOUT_ACQUIRE  // BUG
#define PLANTED
#endif
#include "one_shot.cuh"

int main(int count, char** arguments) {
  return run_ranks(2, 2, count, arguments, sum_often);
}
