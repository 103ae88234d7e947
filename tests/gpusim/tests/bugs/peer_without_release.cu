// A flag that is set without a release: what was staged before it need not be visible.
// expect: peer race: .*one_shot.cuh:[0-9]+, .*: reads 4 bytes .* written by kernel .* of process
#ifndef CORRECT
#define WITHOUT_RELEASE  // BUG
#define PLANTED
#endif
#include "one_shot.cuh"

int main(int count, char** arguments) {
  return run_ranks(2, 2, count, arguments, sum_often);
}
