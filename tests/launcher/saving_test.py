#!/usr/bin/env python3
"""Saving while training goes on: the same checkpoints as when training waits, a run that survives
failed saves, and one that is killed while it saves.

    saving_test.py INGOT MPIRUN
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import unittest

INGOT, MPIRUN = sys.argv[1:3]
CANNOT_WRITE = 73
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
CONFIG = """\
data: {train: text.h5}
model: {layers: 2, width: 32, heads: 2, context: 32}
batch: {micro: 2, global: 4}
train: {steps: 12}
schedule: {warmup: 2, steps: 12}
checkpoint: {every: 2, keep: 0}
evaluate: {batches: 1}
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


def files(run):
    """Name -> bytes of every file of values in the run's checkpoints."""
    found = {}
    for folder, _, names in os.walk(f"runs/{run}/checkpoints"):
        for name in names:
            if name.endswith(".h5"):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, f"runs/{run}")] = file.read()
    return found


def loss_of(run, step):
    with open(f"runs/{run}/metrics.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["loss"] for row in rows if row["step"] == step and "loss" in row]


def ranks_of(process):
    """Process ids of the ranks that mpirun started."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                if int(file.read().rsplit(")", 1)[1].split()[1]) == process.pid:
                    found.append(int(name))
        except OSError:
            pass  # it ended meanwhile
    return sorted(found)


class Saving(unittest.TestCase):
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
        code, out = train(2, "run.name=waiting", "checkpoint.async=false")
        assert code == 0, out

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def test_writes_the_checkpoints_of_a_run_that_waits_for_them(self):
        code, out = train(2, "run.name=background")
        self.assertEqual(code, 0, out)
        expected = files("waiting")
        self.assertEqual(len(expected), 12)  # of two ranks after steps 2, 4 ... 12
        self.assertEqual(files("background"), expected)

    def test_goes_on_without_what_cannot_be_written_and_ends_after_three_times(self):
        for run, options, code in (("three", [], CANNOT_WRITE),
                                   ("six", ["checkpoint.max_failures=6"], CANNOT_WRITE),
                                   ("many", ["checkpoint.max_failures=7"], 0),
                                   ("three-waiting", ["checkpoint.async=false"], CANNOT_WRITE)):
            os.makedirs(f"runs/{run}")
            with open(f"runs/{run}/checkpoints", "w", encoding="utf-8") as file:
                file.write("not a folder")
            found, out = train(2, f"run.name={run}", "checkpoint.at_end=false",
                               "train.steps=13", *options)
            self.assertEqual(found, code, out)
            self.assertEqual(out.count("training goes on"), {73: 2, 0: 6}[code]
                             if run != "six" else 5, out)
            self.assertEqual(len(loss_of(run, 6)), 1)
            self.assertEqual(len(loss_of(run, 8)), 0 if run.startswith("three") else 1)

    def test_needs_the_last_checkpoint(self):
        os.makedirs("runs/last")
        with open("runs/last/checkpoints", "w", encoding="utf-8") as file:
            file.write("not a folder")
        code, out = train(2, "run.name=last", "checkpoint.every=0")
        self.assertEqual(code, CANNOT_WRITE, out)
        self.assertIn("cannot create the folder", out)

    def test_goes_on_after_it_was_killed_while_saving(self):
        seed = random.randrange(1 << 30)
        print(f"seed {seed}")
        draw = random.Random(seed)
        for kill in range(4):
            # Some line of the output, while a checkpoint is under way in almost every step.
            line_number = draw.randrange(2, 30)
            with launch(2, "run.name=killed", "checkpoint.every=1", "checkpoint.keep=2") as process:
                for number, _ in enumerate(process.stdout):
                    if number == line_number:
                        for rank in ranks_of(process):
                            os.kill(rank, signal.SIGKILL)
                process.wait(timeout=60)
            # 0 where it was done before that many lines.
            self.assertIn(process.returncode, (0, 128 + signal.SIGKILL), f"kill {kill}")
        code, out = train(2, "run.name=killed")
        self.assertEqual(code, 0, out)
        self.assertEqual(loss_of("killed", 12), loss_of("waiting", 12))
        self.assertEqual([name for name in os.listdir("runs/killed/checkpoints")
                          if ".tmp-" in name], [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
