// environment: GPUSIM_MACHINE=dgx-h100
// Eight processes sum over staging buffers that they share, with barriers of their own making.
#include "one_shot.cuh"

int main(int count, char** arguments) {
  return run_ranks(8, 8, count, arguments, sum_often);
}
