#!/usr/bin/env python3
"""What a job does when a rank dies, hangs or calls something else: one message that names it, the
exit code, flight records, no process left, and the checkpoint from before as good as it was.

    faults_test.py INGOT MPIRUN TRANSPORT [TEST...]

Under with_nodes.sh the last rank is on another node. With TRANSPORT nccl ranks compute on GPUs
(run it by tests/on_gpu.sh), and NCCL of gpusim is made to fail as well.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import ranks as jobs

INGOT, MPIRUN, TRANSPORT = sys.argv[1:4]
TIMEOUT, PREEMPTED, INTERNAL = 75, 77, 70
ON_GPUS = TRANSPORT == "nccl"


class FaultyJobs(unittest.TestCase):
    """A folder with a job to go on with, and ways to start it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        jobs.prepare(INGOT)
        # A run that has come to step 4 and left its checkpoint, for those that fail later.
        whole = jobs.Job(INGOT, MPIRUN, 2, "run.name=begun", "train.steps=4")
        assert whole.wait() == 0, whole.output

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def start(self, ranks, *overrides, **environment):
        self.run_name = self.id().rpartition(".")[2]
        if not jobs.checkpoints(self.run_name):
            shutil.copytree("runs/begun/checkpoints", f"runs/{self.run_name}/checkpoints")
        job = jobs.Job(INGOT, MPIRUN, ranks, f"run.name={self.run_name}",
                       f"collectives.transport={TRANSPORT}",
                       *(["device=cuda"] if ON_GPUS else []), *overrides, **environment)
        self.addCleanup(lambda: job.process.poll() is None and job.kill())
        return job

    def with_fault(self, ranks, kind, *overrides):
        """A job that goes on from step 4 and whose rank 1 misbehaves in step 6."""
        job = self.start(ranks, f"fault.kind={kind}", "fault.rank=1", "fault.step=6", *overrides)
        job.wait_for_step(5)
        return job

    def check_end(self, job, code, survivors):
        self.assertEqual(job.wait(), code, job.output)
        self.assertEqual(job.processes_left(), [], job.output)
        self.assertEqual(len(job.errors()), 1, job.output)
        # A stopped rank is continued before it is killed, and may be in time to leave a record.
        self.assertEqual(set(survivors) - set(jobs.flights(self.run_name)), set(), job.output)
        self.assertEqual(jobs.checkpoints(self.run_name), [4], job.output)
        for rank in survivors:
            record = jobs.flight(self.run_name, rank)
            self.assertEqual((record["rank"], record["ranks"]), (rank, job.ranks))
            self.assertEqual(record["step"], 6)
            self.assertEqual(record["pid"], job.pids[rank])


class Faults(FaultyJobs):
    def check_resumes(self):
        job = self.start(2, "train.steps=6")
        self.assertEqual(job.wait(), 0, job.output)
        self.assertIn("at step 4", job.output)

    def test_killed(self):
        job = self.with_fault(3, "kill")
        self.check_end(job, 137, [0, 2])
        self.assertRegex(job.output, r"lost rank 1 \(\S+, pid %d\), whose process has ended"
                         % job.pids[1])
        self.check_resumes()

    @unittest.skipIf(ON_GPUS, "a GPU comes to its collectives by itself")
    def test_killed_before_a_collective(self):
        job = self.with_fault(2, "kill", "fault.collective=2")
        self.check_end(job, 137, [0])
        self.assertRegex(job.output, r"lost rank 1 .* in collective \d+, all_reduce of \d+ f")
        self.assertIn("arrived: rank 0", job.output)

    def test_stopped(self):
        job = self.with_fault(3, "stop")
        self.check_end(job, TIMEOUT, [0, 2])
        self.assertRegex(job.output, r"no progress for \S+ s in collective \d+, all_reduce of \d+ "
                         r"f\d+ \(sum\), [\w ]+ \(\d+ bytes\)")
        self.assertRegex(job.output, r"rank 1 \(\S+, pid %d\) does not answer" % job.pids[1])
        self.assertIn("arrived: ranks 0, 2", job.output)

    def test_hanging(self):
        job = self.with_fault(2, "hang")
        self.check_end(job, TIMEOUT, [0, 1])
        where = "has enqueued it, but its stream has not come to it" if ON_GPUS else (
            "has not called it")
        self.assertRegex(job.output, r"rank 1 \(\S+, pid \d+\) " + where + r": (it is )?in step 6 "
                         r"\(training\); the last it completed is \d+, ")
        started = [call for group in jobs.flight(self.run_name, 0)["communicators"]
                   for call in group["calls"] if call["state"] == "started"]
        self.assertEqual(len(started), 1)

    def test_ended_by_an_error_of_its_own(self):
        job = self.with_fault(3, "exception")
        self.check_end(job, INTERNAL, [0, 1, 2])
        self.assertIn("asked for by fault.kind", job.output)

    def test_exited(self):
        job = self.with_fault(2, "exit")
        self.assertNotEqual(job.wait(), 0, job.output)
        self.assertEqual(job.processes_left(), [], job.output)
        self.assertRegex(job.output, "lost rank 1")

    @unittest.skipIf(ON_GPUS, "of a recording: see NcclFaults")
    def test_skipping_a_collective(self):
        job = self.with_fault(3, "skip_collective", "fault.collective=2")
        self.assertEqual(job.wait(), TIMEOUT, job.output)
        self.assertEqual(job.processes_left(), [], job.output)
        self.assertEqual(len(job.errors()), 1, job.output)
        self.assertRegex(job.output, r"do not call the same: as number \d+, rank 1 \(\S+\) calls "
                         r".*; ranks 0, 2 call ")

    @unittest.skipIf(ON_GPUS, "of a recording: see NcclFaults")
    def test_calling_another_size(self):
        job = self.with_fault(3, "wrong_size", "fault.collective=2")
        self.assertEqual(job.wait(), TIMEOUT, job.output)
        self.assertEqual(job.processes_left(), [], job.output)
        self.assertEqual(len(job.errors()), 1, job.output)
        self.assertRegex(job.output, r"do not call the same: as number \d+, rank 1 \(\S+\) calls "
                         r"all_reduce of \d+ f32 .*; ranks 0, 2 call all_reduce of ")

    @unittest.skipIf(ON_GPUS, "of a recording: see NcclFaults")
    def test_differing_where_calls_are_compared(self):
        for kind in ("skip_collective", "wrong_size"):
            with self.subTest(kind):
                job = self.with_fault(3, kind, "fault.collective=2", "collectives.check=true")
                self.check_end(job, TIMEOUT, [0, 1, 2])
                self.assertRegex(job.output, r"do not call the same as collective \d+: rank 1 "
                                 r"\(\S+\) calls .*; ranks 0, 2 call ")

    def test_slow_is_not_hung(self):
        job = self.with_fault(2, "slow", "fault.seconds=1.5s", "train.steps=8")
        self.assertEqual(job.wait(), 0, job.output)

    def test_asked_to_end(self):
        # As Slurm does before it takes the nodes away: every rank is there, and saves.
        job = self.start(3)
        job.wait_for_step(5)
        for rank in range(3):
            job.send(rank, signal.SIGTERM)
        self.assertEqual(job.wait(), PREEMPTED, job.output)
        self.assertEqual(job.errors(), [])
        self.assertGreaterEqual(jobs.checkpoints(self.run_name)[-1], 5)
        self.assertEqual(jobs.checkpoints(self.run_name)[0], 4)
        self.assertEqual(jobs.flights(self.run_name), [0, 1, 2])

    def test_without_its_mpirun(self):
        job = self.start(2)
        job.wait_for_step(5)
        job.process.send_signal(signal.SIGKILL)
        job.wait()
        self.assertEqual(len(job.pids), 2)
        self.assertEqual(job.processes_left(), [])


@unittest.skipUnless(ON_GPUS, "for GPUs")
class NcclFaults(FaultyJobs):
    """What goes wrong in recorded calls, and inside of NCCL."""

    def check_named(self, job, pattern):
        self.assertEqual(job.wait(), TIMEOUT, job.output)
        self.assertEqual(job.processes_left(), [], job.output)
        self.assertEqual(len(job.errors()), 1, job.output)
        self.assertRegex(job.output, pattern)
        self.assertEqual(jobs.flights(self.run_name), list(range(job.ranks)), job.output)
        self.assertEqual(jobs.checkpoints(self.run_name), [4], job.output)

    def test_recording_another_call(self):
        for kind in ("wrong_size", "skip_collective"):
            for check in ("false", "true"):
                with self.subTest(kind, check=check):
                    job = self.start(3, f"fault.kind={kind}", "fault.rank=1", "fault.step=1",
                                     "fault.collective=3", f"collectives.check={check}")
                    self.check_named(job, r"do not call the same.*: .*rank 1 \(\S+\) calls "
                                     r".*; ranks 0, 2 call ")

    def test_an_operation_that_fails(self):
        job = self.start(3, GPUSIM_NCCL_FAULTS="fail rank=1 operation=4")
        self.check_named(job, r"collective \d+, \w+.* failed: rank 1 \(\S+\): NCCL reports: ")

    def test_a_link_that_breaks(self):
        job = self.start(3, GPUSIM_NCCL_FAULTS="cut rank=1 peer=2 operation=4")
        self.check_named(job, r"collective \d+, \w+.* failed: rank [12] \(\S+\): NCCL reports: "
                         r".*rank [12]")

    def test_an_operation_that_hangs(self):
        job = self.start(3, GPUSIM_NCCL_FAULTS="hang rank=1 operation=4")
        self.check_named(job, r"no progress for \S+ s in collective \d+, ")
        self.assertRegex(job.output, r"arrived: ranks 0-2\n +(none of them is done with it: it "
                         r"hangs inside|done with it: ranks? .*; not rank)")

    def test_a_slow_rank(self):
        job = self.start(2, "train.steps=6", GPUSIM_NCCL_FAULTS="delay rank=1 milliseconds=10")
        self.assertEqual(job.wait(), 0, job.output)


if __name__ == "__main__":
    if subprocess.run([INGOT, "--version"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        sys.exit(f"{INGOT} does not run")
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
