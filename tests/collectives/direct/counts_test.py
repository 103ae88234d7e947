#!/usr/bin/env python3
"""Counts under gpusim what a direct collective costs: launches, meetings, and bytes that each GPU
loads from its peers.

    counts_test.py DIRECT_RANKS MPIRUN RANKS      with the environment of on_gpu.sh
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

PROGRAM, MPIRUN, RANKS = sys.argv[1], sys.argv[2], int(sys.argv[3])
BYTES = 8 * 3 * 5 * 7 * 16 * 4  # n of Direct.MakesOneCallOfEach
THREADS, MOST_BLOCKS, VECTOR = 256, 16, 16


def blocks_for(size):
    return max(1, min(MOST_BLOCKS, -(-size // VECTOR // THREADS)))


# Of each kernel: meetings, bytes from peers, bytes that its blocks share out.
EXPECTED = {
    "one_shot_kernel": (1, (RANKS - 1) * BYTES, BYTES),
    "two_shot_kernel": (2, 2 * (RANKS - 1) * BYTES // RANKS, BYTES // RANKS),
    "reduce_scatter_kernel": (1, (RANKS - 1) * BYTES, BYTES),
    "exchange_kernel": (1, (RANKS - 1) * BYTES, BYTES),
}


def reports():
    """What each rank's kernels did."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, GPUSIM_REPORT=f"{folder}/%p.json")
        run = subprocess.run(
            [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none", "--mca",
             "mpi_yield_when_idle", "1", "-np", str(RANKS), PROGRAM,
             "--gtest_filter=Direct.MakesOneCallOfEach"],
            env=environment, text=True, capture_output=True, check=False)
        if run.returncode != 0:
            sys.exit(f"ended with {run.returncode}\n{run.stdout}{run.stderr}")
        return [json.loads(path.read_text(encoding="utf-8"))["kernels"]
                for path in pathlib.Path(folder).glob("*.json")]


def main():
    all_ranks = reports()
    assert len(all_ranks) == RANKS, f"{len(all_ranks)} reports"
    for kernels in all_ranks:
        for name, (meetings, load_bytes, shared) in EXPECTED.items():
            found = [kernel for kernel in kernels if name in kernel["name"]]
            assert len(found) == 1, f"{len(found)} of {name}"
            kernel = found[0]
            flags = meetings * blocks_for(shared) * (RANKS - 1)
            counted = (kernel["launches"], kernel["remote_load_bytes"],
                       kernel["remote_flag_stores"], kernel["remote_flag_loads"],
                       kernel["remote_store_bytes"])
            wanted = (1, load_bytes, flags, 0, 0)
            print(f"{name}: launches, bytes from peers, flags set, flags polled there, bytes "
                  f"stored there: {counted}")
            assert counted == wanted, f"{name}: {counted} instead of {wanted}"


if __name__ == "__main__":
    main()
