// environment: GPUSIM_MACHINE=dgx-h100
// architectures: 80 90
// The same with volatile flags and fences, between three processes, two of which share a device.
#define WITH_FENCES
#include "one_shot.cuh"

int main(int count, char** arguments) {
  return run_ranks(3, 2, count, arguments, sum_often);
}
