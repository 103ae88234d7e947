#!/usr/bin/env python3
"""parallel.reduction: ordered computes the same bits on any number of ranks.

    identity_test.py INGOT MPIRUN [--full] [--device cuda]

A table of ranks x shard mode x accumulation x nodes is generated. Every combination that the rule
admits is trained for a few steps; its losses and its final state are compared bit for bit with
those of one rank, which takes the same micro-batches one by one. The others must be refused.
Without --full it is a part of the table: every shard mode with every number of ranks, and every
accumulation. On GPUs, which may be simulated ones (run by tests/on_gpu.sh), the part is shorter,
and ranks take part as far as there are GPUs.
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
ON_GPUS = "cuda" in sys.argv[3:]
DEVICE = "cuda" if ON_GPUS else "cpu"
CONFIGURATION = 78
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
RANKS = (1, 2, 3, 4, 6, 8)
SHARDS = ("none", "optimizer", "gradients", "parameters")
ACCUMULATIONS = range(1, 9)
MICRO = 2
STEPS = 2 if ON_GPUS else 3
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


def most_ranks():
    """As many as there are GPUs; gpusim makes up one for every rank."""
    if not ON_GPUS or "gpusim" in os.environ.get("LD_LIBRARY_PATH", ""):
        return max(RANKS)
    listed = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, text=True, check=True)
    return len(listed.stdout.splitlines())


MOST_RANKS = most_ranks()


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


def gpu_table():
    """The same in fewer runs, since a simulated GPU takes its time: 2 and 4 ranks in every mode, 8
    in two, 3 and 6 where several partial sums travel, and two nodes with both forms."""
    yield from ((2, "none", 3, 1), (2, "optimizer", 2, 1), (2, "gradients", 1, 1),
                (2, "parameters", 4, 1), (4, "none", 2, 2), (4, "optimizer", 1, 1),
                (4, "gradients", 2, 2), (4, "parameters", 2, 1), (8, "none", 1, 1),
                (8, "parameters", 1, 2), (3, "optimizer", 4, 1), (3, "parameters", 1, 1),
                (6, "none", 2, 2))


def launch(ranks, run, *overrides, config="job.yaml", nodes=1, expected=0):
    environment = dict(ENVIRONMENT)
    if nodes > 1:
        environment["INGOT_TEST_NODES"] = str(nodes)
    command = [INGOT, "train", config, f"run.name={run}", f"device={DEVICE}",
               f"train.steps={STEPS}", *overrides]
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
        # What is measured on simulated GPUs stays away from real ones.
        ENVIRONMENT["XDG_CACHE_HOME"] = os.path.abspath("cache")
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
        table = full_table() if FULL else gpu_table() if ON_GPUS else part_of_table()
        for ranks, shard, accumulation, nodes in table:
            if ranks > MOST_RANKS:
                continue
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
        if MOST_RANKS == max(RANKS):
            self.assertGreater(ran, 10 if ON_GPUS else 20)

    @unittest.skipIf(ON_GPUS, "threads compute nothing there")
    def test_the_number_of_threads_changes_nothing(self):
        for ranks, threads in ((1, 2), (1, 3), (2, 2)):
            run = f"threads-{ranks}-{threads}"
            launch(ranks, run, batch(4), f"threads={threads}")
            self.expect_equal(run, *self.reference(4), run)

    def test_a_run_goes_on_with_other_ranks_in_another_mode(self):
        expected = self.reference(8)
        run = "moves"
        parts = ((1, 4, "parameters"), (2, 1, "none"), (3, 2, "optimizer"))
        for step, ranks, shard in parts[:STEPS]:
            ranks = min(ranks, MOST_RANKS)
            out = launch(ranks, run, batch(8), f"train.steps={step}", f"parallel.shard={shard}",
                         "checkpoint.keep=0")
            self.assertNotIn("fingerprint", out)
        self.expect_equal(run, *expected, run)

    def test_the_transport_changes_nothing(self):
        if MOST_RANKS < 4:
            self.skipTest("few GPUs")
        for transport in ("nccl", "mpi") if ON_GPUS else ("shm", "mpi"):
            run = f"over-{transport}"
            out = launch(4, run, batch(8), f"collectives.transport={transport}")
            self.assertRegex(out, rf"ranks +4 \({transport}")
            self.expect_equal(run, *self.reference(8), run)

    def test_recomputing_layers_changes_nothing(self):
        for ranks, shard, mode in ((1, "none", "attention"), (2, "parameters", "layer")):
            if ranks > MOST_RANKS:
                continue
            run = f"recomputes-{mode}"
            launch(ranks, run, batch(8), f"parallel.shard={shard}", f"model.recompute={mode}")
            self.expect_equal(run, *self.reference(8), run)

    @unittest.skipUnless(ON_GPUS, "there is one device")
    def test_either_device_goes_on_alike_from_the_others_checkpoint(self):
        for first, second, ranks_of_first in (("cpu", "cuda", 4), ("cuda", "cpu", 2)):
            source = f"from-{first}"
            launch(min(ranks_of_first, MOST_RANKS), source, batch(8), f"device={first}",
                   "train.steps=1", "parallel.shard=parameters")
            ends = []
            for ranks, shard in ((1, "none"), (2, "gradients"), (4, "optimizer")):
                if ranks > MOST_RANKS:
                    continue
                run = f"{source}-{ranks}"
                shutil.copytree(f"runs/{source}/checkpoints", f"runs/{run}/checkpoints")
                out = launch(ranks, run, batch(8), f"device={second}", f"parallel.shard={shard}")
                self.assertIn("at step 1", out)
                self.assertIn("the numerics fingerprint", out)
                ends.append((numbers(run), state(run, STEPS)))
                self.expect_equal(run, *ends[0], run)

    @unittest.skipUnless(ON_GPUS, "products of the CPU have no algorithms to choose from")
    def test_algorithms_come_from_the_tuning_file_and_from_no_clock(self):
        launch(1, "measures", batch(4), "parallel.reduction=fast", "tuning=algorithms.yaml",
               "train.steps=1")
        with open("algorithms.yaml", encoding="utf-8") as file:
            measured = file.read()
        ends = []
        for ranks in (1, min(2, MOST_RANKS)):
            run = f"tuned-{ranks}"
            out = launch(ranks, run, batch(4), "tuning=algorithms.yaml")
            self.assertNotIn("measured", out)
            ends.append((numbers(run), state(run, STEPS)))
            self.expect_equal(run, *ends[0], run)
        with open("algorithms.yaml", encoding="utf-8") as file:
            self.assertEqual(file.read(), measured)
        launch(1, "untuned", batch(4), "tuning=nothing.yaml", "train.steps=1")
        self.assertFalse(os.path.exists("nothing.yaml"))

    def test_sharding_changes_no_bit_of_a_fast_sum_of_two(self):
        if MOST_RANKS < 2:
            self.skipTest("one GPU")
        ends = []
        for shard in SHARDS:
            run = f"fast-{shard}"
            launch(2, run, batch(2), "parallel.reduction=fast", "tuning=two.yaml",
                   f"parallel.shard={shard}")
            ends.append((numbers(run), state(run, STEPS)))
            self.expect_equal(run, *ends[0], run)

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
            for ranks in (1, min(2, MOST_RANKS)):
                run = f"{name}-{ranks}"
                launch(ranks, run, f"parallel.shard={shard}", *overrides, config=config)
                runs[ranks] = numbers(run), state(run, STEPS)
            self.expect_equal(f"{name}-{max(runs)}", *runs[1], name)

    def test_fast_sums_in_another_order(self):
        # Or the rest of this file would say nothing.
        ranks = min(4, MOST_RANKS)
        launch(ranks, "fast", batch(8), "parallel.reduction=fast", "tuning=fast.yaml")
        self.assertNotEqual(state("fast", STEPS), self.reference(8)[1])

    def test_what_is_not_admitted_is_refused(self):
        for ranks, overrides, text in (
                (2, [batch(7)], "the nearest one is"),
                (2, [batch(8), "parallel.wire=bf16"], "expected f32"),
                (1, [batch(8), "batch.micro=auto"], "parallel.reduction: fast")):
            with self.subTest(text):
                out = launch(ranks, "refused", *overrides, expected=CONFIGURATION)
                self.assertIn(text, out)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
