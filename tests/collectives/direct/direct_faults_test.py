#!/usr/bin/env python3
"""A rank that hangs or is stopped while its peers' kernels spin for it in a direct collective: the
watchdog ends the job (75), says which rank, and leaves flight records in which the call is started.

    direct_faults_test.py INGOT MPIRUN      with the environment of on_gpu.sh
"""

import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "cluster"))
import ranks as jobs  # noqa: E402

INGOT, MPIRUN = os.path.abspath(sys.argv[1]), sys.argv[2]
TIMEOUT = 75


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        jobs.prepare(INGOT)

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def check(self, kind, message):
        # Buckets of 8 KiB: every reduction is direct.
        job = jobs.Job(INGOT, MPIRUN, 2, f"run.name={kind}", "device=cuda",
                       "collectives.transport=auto", "checkpoint.every=0", f"fault.kind={kind}",
                       "fault.rank=1", "fault.step=3")
        self.addCleanup(lambda: job.process.poll() is None and job.kill())
        self.assertEqual(job.wait(), TIMEOUT, job.output)
        self.assertEqual(job.processes_left(), [], job.output)
        self.assertRegex(job.output, message)
        started = [call for group in jobs.flight(kind, 0)["communicators"]
                   for call in group["calls"] if call["state"] == "started"]
        self.assertEqual(len(started), 1, started)
        self.assertEqual(started[0]["operation"], "all_reduce")

    def test_hanging(self):
        self.check("hang", r"rank 1 \(\S+, pid \d+\) has (not called|enqueued) it.* in step 3")

    def test_stopped(self):
        self.check("stop", r"rank 1 \(\S+, pid \d+\) does not answer")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
