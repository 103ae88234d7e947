// Flags of a scope that does not reach the other device.
// expect: peer race: .*one_shot.cuh:[0-9]+, .*written by kernel .*one_shot.* of process
#ifndef CORRECT
#define SCOPE "gpu"  // BUG
#define PLANTED
#endif
#include "one_shot.cuh"

int main(int count, char** arguments) {
  return run_ranks(2, 2, count, arguments, sum_often);
}
