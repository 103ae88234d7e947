#!/usr/bin/env python3
"""Timelines of steps (`trace`) through the real command, of a CPU's ops and of a GPU's alike: which
files there are, that they name each op of the programs, that times are ordered, and that a traced
step computes the same bits; on GPUs also the names that profilers are told (NVTX).

    trace_test.py INGOT MPIRUN DEVICE [RECORDER]

DEVICE: cpu or cuda; RECORDER: the library of nvtx_recorder.cpp.
"""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

INGOT, MPIRUN, DEVICE = sys.argv[1:4]
RECORDER = sys.argv[4] if len(sys.argv) > 4 else None
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   LC_ALL="C.UTF-8")
LAUNCH = [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none",
          "--mca", "mpi_yield_when_idle", "1"]
CONFIG = """\
data: {train: text.h5}
model: {layers: 2, width: 128, heads: 2, context: 32}
batch: {micro: 1, global: 4}
train: {steps: 4}
schedule: {warmup: 2, steps: 4}
checkpoint: {at_end: false}
log: {every: 1}
resume: none
"""


def ingot(ranks, *arguments, **environment):
    done = subprocess.run([*LAUNCH, "-np", str(ranks), INGOT, *arguments],
                          env={**ENVIRONMENT, **environment}, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                          timeout=300, check=False)
    return done.returncode, done.stdout


def losses(run):
    with open(f"runs/{run}/metrics.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["loss"] for row in rows if "step_ms" in row]


class Traces(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        before = os.getcwd()
        cls.addClassCleanup(lambda: os.chdir(before))
        os.chdir(cls.folder.name)
        with open("text.txt", "w", encoding="utf-8") as file:
            file.write("".join(f"Line {i} of a text that is read once. " for i in range(500)))
        with open("gpt.yaml", "w", encoding="utf-8") as file:
            file.write(CONFIG)
        code, out = ingot(1, "data", "import", "text.txt", "text.h5")
        assert code == 0, out

    def train(self, ranks, run, *overrides, **environment):
        code, out = ingot(ranks, "train", "gpt.yaml", f"run.name={run}", f"device={DEVICE}",
                          *overrides, **environment)
        self.assertEqual(code, 0, out)

    def spans(self, path):
        with open(path, encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
        return [event for event in events if event["ph"] == "X"]

    def test_of_two_steps_on_two_ranks(self):
        self.train(2, "plain")
        self.train(2, "traced", "trace.first=2", "trace.steps=2")
        self.assertEqual(losses("traced"), losses("plain"))
        self.assertFalse(glob.glob("runs/plain/trace/*"))
        found = sorted(os.path.basename(path) for path in glob.glob("runs/traced/trace/*"))
        self.assertEqual(found, [f"step-{step:08}-rank-{rank:05}.json"
                                 for step in (2, 3) for rank in (0, 1)])
        for name in found:
            spans = self.spans(f"runs/traced/trace/{name}")
            names = [span["name"] for span in spans]
            # Two micro batches of a rank's step: forward and backward of each layer in both.
            for layer in (0, 1):
                for part in ("forward", "backward"):
                    attention = [span for span in spans if span["cat"] == part and re.match(
                        rf"layer {layer}/.*\(attention", span["name"])]
                    self.assertEqual(len(attention), 2, names)
            self.assertEqual({span["cat"] for span in spans},
                             {"forward", "backward", "update", "communication"})
            self.assertTrue(any("adamw" in name for name in names), names)
            for track in (0, 1):
                times = [(span["ts"], span["ts"] + span["dur"]) for span in spans
                         if span["tid"] == track]
                self.assertGreater(len(times), 0)
                for (begin, end), after in zip(times, [*times[1:], (float("inf"), 0)]):
                    self.assertLessEqual(begin, end)
                    # A stream does one thing after another; doubles hold such times to 0.25 us.
                    self.assertLess(end, after[0] + 1)
            busy = [span for span in spans if span["args"].get("matrix FLOPs", 0) > 0]
            self.assertGreater(len(busy), 20)
            self.assertTrue(all(span["dur"] > 0 for span in busy))

    @unittest.skipUnless(RECORDER, "names are told to CUDA's profilers")
    def test_profilers_are_told_the_names(self):
        record = os.path.abspath("ranges")
        self.train(1, "profiled", "trace.first=3", "trace.steps=1",
                   NVTX_INJECTION64_PATH=RECORDER, NVTX_RECORD=record)
        with open(record, encoding="utf-8") as file:
            ranges = [line.rstrip("\n").split(" ", 1) for line in file]
        # Each program once where it is recorded, with its ops inside of it. Then four steps of
        # three micro batches, the last one, and an update, replayed but for the step that is
        # traced, which has its ops by name again.
        names = {"micro": 3, "micro_last": 1, "update": 1}
        for name, runs in names.items():
            self.assertEqual(ranges.count(["0", name]), 1 + 4 * runs, name)
        nested = [name for depth, name in ranges if depth == "1"]
        with open("runs/profiled/trace/step-00000003-rank-00000.json", encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
        traced = [event for event in events if event["ph"] == "X"]
        for event in traced:
            label = event["name"].rsplit(" (", 1)[0]
            self.assertIn(label, nested)
        self.assertTrue(all(depth in ("0", "1") for depth, _ in ranges))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]])
