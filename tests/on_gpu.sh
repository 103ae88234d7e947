#!/usr/bin/env bash
# on_gpu.sh KIND GPUSIM COMMAND...: runs a command on simulated GPUs (KIND gpusim: the libraries in
# the folder GPUSIM take the place of CUDA's) or on real ones (KIND gpu). Ends with 77, which ctest
# calls skipped, where there are none, or fewer than INGOT_TEST_GPUS; with INGOT_REQUIRE_CUDA=1 a
# missing gpusim is a failure.
set -euo pipefail
kind=$1 gpusim=$2
shift 2
case "$kind" in
  gpusim)
    if [[ ! -e $gpusim/libcudart.so.13 ]]; then
      echo "gpusim is not built in $gpusim"
      [[ ${INGOT_REQUIRE_CUDA:-0} == 1 ]] && exit 1
      exit 77
    fi
    export LD_LIBRARY_PATH=$gpusim${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    ;;
  gpu)
    if ! nvidia-smi -L >/dev/null 2>&1; then
      echo "no GPU here"
      exit 77
    fi
    gpus=$(nvidia-smi -L | grep -c '^GPU')
    if ((gpus < ${INGOT_TEST_GPUS:-1})); then
      echo "needs $INGOT_TEST_GPUS GPUs, and here are $gpus"
      exit 77
    fi
    ;;
  *) echo "on_gpu.sh: KIND is gpusim or gpu, not '$kind'" >&2 && exit 64 ;;
esac
exec "$@"
