#!/usr/bin/env python3
"""Leaves out one fence, barrier or wait of the direct kernels at a time: gpusim or the results have
to tell. With nothing left out the same program passes.

    omissions_test.py DIRECT_RANKS MPIRUN OMITTING_MODULE      with the environment of on_gpu.sh
"""

import os
import re
import subprocess
import sys
import unittest

PROGRAM, MPIRUN, MODULE = sys.argv[1:4]
RANKS = 3
OMISSIONS = ["barrier_before", "release", "wait", "acquire", "barrier_after"]


def run(kernel, omission):
    """(exit code, output) of many calls in a row."""
    environment = dict(os.environ, INGOT_CUDA_MODULE=MODULE, INGOT_TEST_OMIT=omission,
                       GPUSIM_DELAY="200", GPUSIM_SEED="3")
    done = subprocess.run(
        [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none", "--mca",
         "mpi_yield_when_idle", "1", "-np", str(RANKS), PROGRAM,
         f"--gtest_filter=DirectInARow.AddsUpIn{kernel}"],
        env=environment, text=True, capture_output=True, timeout=200, check=False)
    return done.returncode, done.stdout + done.stderr


class Omissions(unittest.TestCase):
    def check_found(self, kernel, omission):
        with self.subTest(kernel=kernel, omission=omission):
            code, output = run(kernel, omission)
            races = re.findall(r"gpusim: peer race: .*", output)
            print(f"{kernel} without {omission}: exit code {code}, {len(races)} races reported"
                  + (f", first: {races[0][:200]}" if races else ""), flush=True)
            self.assertNotEqual(code, 0, output)

    def test_nothing(self):
        for kernel in ("OneShot", "TwoShot", "BothInTurn"):
            code, output = run(kernel, "nothing")
            self.assertEqual(code, 0, output)
            self.assertNotIn("gpusim: peer", output)

    def test_one_shot(self):
        for omission in [*OMISSIONS, "second_half"]:
            self.check_found("OneShot", omission)

    def test_two_shot(self):
        for omission in [*OMISSIONS, "second_meeting"]:
            self.check_found("TwoShot", omission)
        # Among themselves two-shot calls could do with one half; not where others follow.
        self.check_found("BothInTurn", "second_half")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
