#!/usr/bin/env python3
"""Stopping and going on: a run that is resumed computes the bits of one that was never stopped.

    resume_test.py INGOT MPIRUN
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

INGOT, MPIRUN = sys.argv[1:3]
PREEMPTED = 77
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
CONFIG = """\
data: {train: text.h5}
model: {layers: 2, width: 32, heads: 2, context: 32, dropout: 0.1}
batch: {micro: 2, global: 8}
train: {steps: 12}
schedule: {warmup: 2, steps: 12}
optimizer: {ema: 0.9}
checkpoint: {every: 4, keep: 0}
evaluate: {every: 5, batches: 1}
"""


def launch(ranks, *overrides):
    return subprocess.Popen(
        [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none", "--mca",
         "mpi_yield_when_idle", "1", "-np", str(ranks), INGOT, "train", "job.yaml", *overrides],
        env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)


def train(ranks, *overrides):
    with launch(ranks, *overrides) as process:
        out, _ = process.communicate(timeout=120)
        return process.returncode, out


def losses(run):
    """step -> loss as written, from the rows of steps."""
    with open(f"{run}/metrics.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}


def state(run, step):
    """Every dataset of a checkpoint's rank files, as bytes."""
    folder = f"{run}/checkpoints/step-{step:08d}"
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".h5"):
            with h5py.File(f"{folder}/{name}", "r") as file:
                for key in file:
                    found[name, key] = numpy.array(file[key]).tobytes()
    return found


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        with open("text.txt", "w", encoding="utf-8") as file:
            for line in range(3000):
                file.write(f"line {line} of a text that repeats itself, {line * line}\n")
        with open("job.yaml", "w", encoding="utf-8") as file:
            file.write(CONFIG)
        subprocess.run([INGOT, "data", "import", "text.txt", "text.h5"], check=True,
                       stdout=subprocess.DEVNULL)
        code, out = train(2, "run.name=whole")
        assert code == 0, out

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def start_at(self, run, step):
        """A run directory that knows only the whole run's checkpoint of this step."""
        name = f"checkpoints/step-{step:08d}"
        shutil.copytree(f"runs/whole/{name}", f"runs/{run}/{name}")

    def test_goes_on_with_the_same_bits(self):
        for precision in ("f32", "bf16"):
            whole = "whole" if precision == "f32" else "whole-bf16"
            if precision == "bf16":
                code, out = train(2, f"run.name={whole}", "train.precision=bf16")
                self.assertEqual(code, 0, out)
            run = f"resumed-{precision}"
            name = "checkpoints/step-00000008"
            shutil.copytree(f"runs/{whole}/{name}", f"runs/{run}/{name}")
            code, out = train(2, f"run.name={run}", f"train.precision={precision}")
            self.assertEqual(code, 0, out)
            self.assertIn("at step 8", out)
            expected = losses(f"runs/{whole}")
            self.assertEqual(losses(f"runs/{run}"), {s: expected[s] for s in range(9, 13)})
            self.assertEqual(state(f"runs/{run}", 12), state(f"runs/{whole}", 12))

    def test_passes_over_a_damaged_checkpoint(self):
        self.start_at("damaged", 4)
        self.start_at("damaged", 8)
        path = "runs/damaged/checkpoints/step-00000008/rank-00001.h5"
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        code, out = train(2, "run.name=damaged")
        self.assertEqual(code, 0, out)
        self.assertIn("at step 4", out)
        self.assertEqual(losses("runs/damaged")[12], losses("runs/whole")[12])

    def test_refuses_another_optimizer(self):
        self.start_at("other", 4)
        code, out = train(2, "run.name=other", "optimizer.kind=lion")
        self.assertEqual(code, 66, out)
        self.assertIn("optimizer", out)

    def test_saves_and_stops_at_a_signal_to_mpirun_and_then_goes_on(self):
        with launch(2, "run.name=stopped", "train.steps=100000", "schedule.steps=12") as process:
            # The table of parameters is out once training begins; a line of a step follows.
            for line in process.stdout:
                if line.lstrip().startswith("step 3"):
                    break
            process.send_signal(signal.SIGUSR2)
            out = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, PREEMPTED, out)
        newest = sorted(os.listdir("runs/stopped/checkpoints"))[-1]
        step = int(newest.split("-")[1])
        self.assertGreaterEqual(step, 3)
        code, out = train(2, "run.name=stopped", f"train.steps={step + 2}", "schedule.steps=12")
        self.assertEqual(code, 0, out)
        self.assertIn(f"at step {step}", out)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
