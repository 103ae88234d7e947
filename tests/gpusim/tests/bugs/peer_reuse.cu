// The next sum overwrites what peers may still read.
// expect: peer race: .*one_shot.cuh:[0-9]+, .*: writes 4 bytes .* read by kernel .* of process
#ifndef CORRECT
#define WITHOUT_MEETING_BEFORE_REUSE  // BUG
#define PLANTED
#endif
#include "one_shot.cuh"

int main(int count, char** arguments) {
  return run_ranks(2, 2, count, arguments, sum_often);
}
