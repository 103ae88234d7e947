#!/usr/bin/env python3
"""parallel.reduction: ordered computes the same bits on any number of ranks.

    identity_test.py INGOT MPIRUN [--full]

A table of ranks x shard mode x accumulation x nodes is generated. Every combination that the rule
admits is trained for a few steps; its losses and its final state are compared bit for bit with
those of one rank, which takes the same micro-batches one by one. The others must be refused.
Without --full it is a part of the table: every shard mode with every number of ranks, and every
accumulation.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

INGOT, MPIRUN = sys.argv[1:3]
FULL = "--full" in sys.argv[3:]
CONFIGURATION = 78
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
RANKS = (1, 2, 3, 4, 6, 8)
SHARDS = ("none", "optimizer", "gradients", "parameters")
ACCUMULATIONS = range(1, 9)
MICRO = 2
STEPS = 3
# Buckets of one layer, several in all; dropout, clipping and averaged weights included.
CONFIG = """\
device: cpu
threads: 1
data: {train: text.h5}
model: {layers: 2, width: 16, heads: 2, context: 16, dropout: 0.1}
batch: {micro: 2}
train: {steps: 3}
schedule: {warmup: 1, steps: 6}
checkpoint: {keep: 0}
optimizer: {learning_rate: 1e-2, ema: 0.9, clip: 0.5}
parallel: {bucket: 8KiB, reduction: ordered}
evaluate: {every: 2, batches: 1}
"""
TABLE_CONFIG = """\
device: cpu
threads: 1
data: {train: rows.h5}
model: {kind: mlp, hidden_layers: [24, 12], dropout: 0.2}
batch: {micro: 4}
train: {steps: 3}
optimizer: {learning_rate: 1e-2}
parallel: {bucket: 4KiB, reduction: ordered}
"""




def admitted(ranks, shard):
    """The rule of DESIGN.md, section 3."""
    return shard in ("none", "optimizer") or ranks & (ranks - 1) == 0


def full_table():
    for ranks, shard, accumulation, nodes in itertools.product(
            RANKS, SHARDS, ACCUMULATIONS, (1, 2)):
        if nodes == 1 or ranks % 2 == 0:
            yield ranks, shard, accumulation, nodes


def part_of_table():
    """Every shard mode with every number of ranks, every accumulation with both assignments, and
    two nodes with both forms of the reduction: a line through the full table."""
    for index, (ranks, shard) in enumerate(itertools.product(RANKS[1:], SHARDS)):
        yield ranks, shard, 1 + (3 * index + ranks) % 8, 1 + (ranks % 2 == 0 and index % 2)
    for accumulation in ACCUMULATIONS:
        yield 2, SHARDS[accumulation % 4], accumulation, 1
    yield 4, "none", 2, 2  # nodes add up first
    yield 4, "gradients", 3, 2
    yield 6, "optimizer", 4, 2
    yield 6, "none", 3, 2  # nodes hold no subtree


def launch(ranks, run, *overrides, config="job.yaml", nodes=1, expected=0):
    environment = dict(ENVIRONMENT)
    if nodes > 1:
        environment["INGOT_TEST_NODES"] = str(nodes)
    command = [INGOT, "train", config, f"run.name={run}", *overrides]
    if ranks > 1:
        command = [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none", "--mca",
                   "mpi_yield_when_idle", "1", "-np", str(ranks), *command]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != expected:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}, expected "
                             f"{expected}\n{done.stdout}")
    return done.stdout


def batch(micro_batches, micro=MICRO):
    return f"batch.global={micro_batches * micro}"


def numbers(run):
    """(step, name) -> what the run computed in each step, as it is written."""
    computed = ("loss", "gradient_norm", "validation_loss", "counted")
    found = {}
    with open(f"runs/{run}/metrics.jsonl", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            found.update({(row["step"], key): row[key] for key in computed if key in row})
    return found


def state(run, step):
    """(kind, tensor) -> the values in a checkpoint, whatever ranks wrote which of them."""
    folder = f"runs/{run}/checkpoints/step-{step:08d}"
    pieces = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".h5"):
            continue
        with h5py.File(f"{folder}/{name}", "r") as file:
            for kind in file:
                if kind.startswith("pieces"):
                    continue
                table = file.get(f"pieces of {kind}", file["pieces"])
                values = numpy.array(file[kind])
                begin = 0
                for tensor, offset, count in numpy.array(table).tolist():
                    part = values[begin:begin + count].tobytes()
                    pieces.setdefault((kind, tensor), []).append((offset, part))
                    begin += count
    return {key: b"".join(part for _, part in sorted(parts)) for key, parts in pieces.items()}


class Identity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        os.chdir(cls.folder.name)
        with open("text.txt", "w", encoding="utf-8") as file:
            for line in range(2000):
                file.write(f"line {line} of a text that repeats itself, {line * line}\n")
        with open("rows.csv", "w", encoding="utf-8") as file:
            file.write("amount,age,country,label\n")
            for row in range(2000):
                file.write(f"{row % 37 / 3},{row % 11},{'abc'[row % 3]},{row * row % 5 // 3}\n")
        for name, text in (("job", CONFIG), ("table", TABLE_CONFIG)):
            with open(f"{name}.yaml", "w", encoding="utf-8") as file:
                file.write(text)
        subprocess.run([INGOT, "data", "import", "text.txt", "text.h5"], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run([INGOT, "data", "import", "rows.csv", "rows.h5", "--label", "label"],
                       check=True, stdout=subprocess.DEVNULL)
        cls.references = {}

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def reference(self, micro_batches):
        """The run of one rank that takes this many micro-batches per step."""
        if micro_batches not in self.references:
            run = f"one-{micro_batches}"
            launch(1, run, batch(micro_batches))
            self.references[micro_batches] = numbers(run), state(run, STEPS)
        return self.references[micro_batches]

    def expect_equal(self, run, expected_numbers, expected_state, what):
        # A run that was stopped on the way evaluated there too.
        found = {key: value for key, value in numbers(run).items() if key in expected_numbers}
        self.assertEqual(found, expected_numbers, what)
        saved = state(run, STEPS)
        self.assertEqual(saved.keys(), expected_state.keys(), what)
        differing = [key for key in saved if saved[key] != expected_state[key]]
        self.assertEqual(differing, [], what)

    def test_every_admitted_combination_has_the_bits_of_one_rank(self):
        ran = 0
        for ranks, shard, accumulation, nodes in full_table() if FULL else part_of_table():
            what = f"{ranks} ranks, {shard}, accumulation {accumulation}, {nodes} nodes"
            run = f"r{ranks}-{shard}-a{accumulation}-n{nodes}"
            overrides = [batch(ranks * accumulation), f"parallel.shard={shard}"]
            with self.subTest(what):
                if not admitted(ranks, shard):
                    out = launch(ranks, run, *overrides, expected=CONFIGURATION)
                    self.assertIn("the nearest are", out)
                    continue
                launch(ranks, run, *overrides, nodes=nodes)
                self.expect_equal(run, *self.reference(ranks * accumulation), what)
                shutil.rmtree(f"runs/{run}")
                ran += 1
        self.assertGreater(ran, 20)

    def test_the_number_of_threads_changes_nothing(self):
        for ranks, threads in ((1, 2), (1, 3), (2, 2)):
            run = f"threads-{ranks}-{threads}"
            launch(ranks, run, batch(4), f"threads={threads}")
            self.expect_equal(run, *self.reference(4), run)

    def test_a_run_goes_on_with_other_ranks_in_another_mode(self):
        expected = self.reference(8)
        run = "moves"
        for step, ranks, shard in ((1, 4, "parameters"), (2, 1, "none"), (3, 2, "optimizer")):
            out = launch(ranks, run, batch(8), f"train.steps={step}", f"parallel.shard={shard}",
                         "checkpoint.keep=0")
            self.assertNotIn("fingerprint", out)
        self.expect_equal(run, *expected, run)

    def test_another_fingerprint_is_warned_of(self):
        launch(1, "fingerprint", batch(8), "train.steps=1")
        out = launch(1, "fingerprint", batch(8), "batch.micro=4", "train.steps=2")
        self.assertIn("the numerics fingerprint", out)
        self.assertIn("although parallel.reduction is ordered", out)

    def test_bf16_and_tables_too(self):
        for name, config, shard, overrides in (
                ("bf16", "job.yaml", "parameters", ("train.precision=bf16", batch(8))),
                ("table", "table.yaml", "gradients", (batch(6, 4),)),
                ("table-2", "table.yaml", "none", (batch(6, 4), "model.dropout=0"))):
            runs = {}
            for ranks in (1, 2):
                run = f"{name}-{ranks}"
                launch(ranks, run, f"parallel.shard={shard}", *overrides, config=config)
                runs[ranks] = numbers(run), state(run, STEPS)
            self.expect_equal(f"{name}-2", *runs[1], name)

    def test_fast_sums_in_another_order(self):
        # Or the rest of this file would say nothing.
        launch(4, "fast", batch(8), "parallel.reduction=fast")
        self.assertNotEqual(state("fast", STEPS), self.reference(8)[1])

    def test_what_is_not_admitted_is_refused(self):
        for ranks, overrides, text in (
                (2, [batch(7)], "the nearest one is"),
                (2, [batch(8), "parallel.wire=bf16"], "expected f32"),
                (1, [batch(8), "batch.micro=auto"], "parallel.reduction: fast"),
                (1, [batch(8), "device=cuda"], "not available on cuda yet")):
            with self.subTest(text):
                out = launch(ranks, "refused", *overrides, expected=CONFIGURATION)
                self.assertIn(text, out)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
