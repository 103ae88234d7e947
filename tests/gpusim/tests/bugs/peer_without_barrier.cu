// One thread sets the flag before the others of its block have staged their part.
// expect: peer race: .*one_shot.cuh:[0-9]+, .*written by kernel .*one_shot
#ifndef CORRECT
#define WITHOUT_BARRIER_BEFORE  // BUG
#define PLANTED
#endif
#include "one_shot.cuh"

int main(int count, char** arguments) {
  return run_ranks(2, 2, count, arguments, sum_often);
}
