#!/usr/bin/env python3
"""Training over NCCL on GPUs of two nodes, under with_nodes.sh and on_gpu.sh: the losses of one
CPU, ordered bits of one node, checkpoints that the CPU goes on with, what every link carries, and
links that are cut or slow.

    on_gpu.sh gpusim LIBRARIES with_nodes.sh --fabric 2 gpu_nodes_test.py INGOT MPIRUN [--full]
        [unittest arguments]

NCCL talks over the nodes' second network, so that MPI still works where that one is broken. With
--full every combination is run.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import ranks as jobs

INGOT, MPIRUN = sys.argv[1:3]
FULL = "--full" in sys.argv[3:]
NODES, TIMEOUT = 2, 75
STEPS = 3
CONFIG = """\
data: {train: text.h5}
model: {layers: 2, width: 32, heads: 2, context: 32}
batch: {micro: 1, global: 8}
train: {steps: 3}
schedule: {warmup: 2, steps: 8}
parallel: {bucket: 16KiB}
checkpoint: {keep: 0}
evaluate: {batches: 1}
log: {every: 1}
"""
GPUS = ["device=cuda", "collectives.transport=nccl"]
SHARDS = ("none", "optimizer", "gradients", "parameters")


def launch(per_node, run, *overrides, nodes=NODES, report=None):
    """Trains; 0 ranks per node: without mpirun. What it printed."""
    command = [INGOT, "train", "job.yaml", f"run.name={run}", *overrides]
    if per_node > 0:
        command = [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none", "--map-by",
                   f"ppr:{per_node}:node", "-np", str(per_node * nodes), "-x", "GPUSIM_REPORT",
                   *command]
    done = subprocess.run(command, env={**jobs.ENVIRONMENT, "GPUSIM_REPORT": report or ""},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=200, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def losses(run):
    """step -> loss, as it is written."""
    with open(f"runs/{run}/metrics.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}


class Prepared(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ingot-gpu-nodes-")
        os.chdir(cls.folder.name)
        jobs.ENVIRONMENT["XDG_CACHE_HOME"] = os.path.abspath("cache")
        jobs.prepare(INGOT)
        shutil.move("job.yaml", "faulty.yaml")
        with open("job.yaml", "w", encoding="utf-8") as file:
            file.write(CONFIG)

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()


class Training(Prepared):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        launch(0, "cpu", "device=cpu", f"train.steps={2 * STEPS}")
        cls.expected = losses("cpu")

    def expect_losses_of_the_cpu(self, run, steps):
        found = losses(run)
        self.assertEqual(sorted(found), list(range(1, steps + 1)))
        for step, loss in found.items():
            expected = self.expected[step]
            self.assertAlmostEqual(loss, expected, delta=2e-5 * abs(expected), msg=f"step {step}")

    def test_losses_are_those_of_one_cpu(self):
        """And the CPU goes on from the checkpoint on one rank, and GPUs from its on another."""
        cases = [(2, "none")]
        if FULL:
            cases = [(per_node, shard) for per_node in (1, 2) for shard in SHARDS]
        for per_node, shard in cases:
            with self.subTest(per_node=per_node, shard=shard):
                run = f"gpus-{per_node}-{shard}"
                out = launch(per_node, run, *GPUS, f"parallel.shard={shard}")
                self.assertRegex(out, rf"ranks +{2 * per_node} \(nccl \d")
                self.expect_losses_of_the_cpu(run, STEPS)
                out = launch(0, run, "device=cpu", f"train.steps={STEPS + 2}")
                self.assertIn(f"at step {STEPS}", out)
                self.expect_losses_of_the_cpu(run, STEPS + 2)
                out = launch(3 - per_node, run, *GPUS, f"train.steps={STEPS + 3}")
                self.assertIn(f"at step {STEPS + 2}", out)
                self.expect_losses_of_the_cpu(run, STEPS + 3)

    def test_ordered_sums_have_the_bits_of_one_node(self):
        launch(0, "alone", "device=cuda", "parallel.reduction=ordered", "train.steps=2")
        cases = [(2, "none"), (1, "parameters")]
        if FULL:
            cases = [(per_node, shard) for per_node in (1, 2, 4) for shard in SHARDS]
        for per_node, shard in cases:
            with self.subTest(per_node=per_node, shard=shard):
                run = f"ordered-{per_node}-{shard}"
                out = launch(per_node, run, *GPUS, f"parallel.shard={shard}", "train.steps=2",
                             "parallel.reduction=ordered")
                self.assertRegex(out, rf"ranks +{2 * per_node} \(nccl \d")
                self.assertEqual(losses(run), losses("alone"))


class Links(Prepared):
    """What the simulator counts on each link against what `ingot plan` says a rank sends."""

    PER_NODE = 2
    RANKS = NODES * PER_NODE
    MORE_STEPS = 2

    def counted(self, *overrides):
        """rank -> {(network, GPU there): bytes} of one step: two runs of different length differ by
        steps alone."""
        totals = []
        for steps in (1, 1 + self.MORE_STEPS):
            report = os.path.abspath(f"links-{steps}-%r.json")
            run = "-".join([f"links-{steps}", *(text.rpartition("=")[2] for text in overrides)])
            launch(self.PER_NODE, run, *GPUS, *overrides, f"train.steps={steps}",
                   "checkpoint.every=0", report=report)
            links = {}
            for rank in range(self.RANKS):
                with open(report.replace("%r", str(rank)), encoding="utf-8") as file:
                    for link in json.load(file)["links"]:
                        if link["by"] == "nccl":
                            links[rank, link["network"], link["to"]] = link["bytes"]
            totals.append(links)
        self.assertEqual(totals[0].keys(), totals[1].keys())
        grown = {key: (totals[1][key] - totals[0][key]) / self.MORE_STEPS for key in totals[1]}
        return {rank: {key[1:]: size for key, size in grown.items() if key[0] == rank}
                for rank in range(self.RANKS)}

    def planned(self, *overrides):
        done = subprocess.run(
            [INGOT, "plan", "job.yaml", "--json", "--ranks", str(self.RANKS), "--ranks-per-node",
             str(self.PER_NODE), *overrides, *GPUS], stdout=subprocess.PIPE, check=True, text=True)
        plan = json.loads(done.stdout)
        self.assertEqual(sum(row["wire_bytes"] * row["calls"] for row in plan["traffic"]),
                         plan["sent_per_step"])
        return plan

    def expect(self, found, inside, between, what):
        """Bytes to the other GPU of the node, and to each of the other node's."""
        for rank, links in found.items():
            other = 1 - rank % self.PER_NODE
            wanted = {(False, other): inside, (True, 0): between, (True, 1): between}
            if isinstance(between, dict):
                wanted.update(between[rank])
            self.assertEqual(links.keys(), wanted.keys(), what)
            for link, size in wanted.items():
                # Blocks of an odd number of elements are not all alike.
                self.assertAlmostEqual(links[link], size, delta=64, msg=f"{what}, rank {rank}")

    def test_a_step_sends_what_is_planned(self):
        for shard in SHARDS if FULL else SHARDS[:1]:
            with self.subTest(shard=shard):
                overrides = [f"parallel.shard={shard}"]
                each = self.planned(*overrides)["sent_per_step"] / (self.RANKS - 1)
                self.assertGreater(each, 100_000)
                self.expect(self.counted(*overrides), each, each, shard)

    def test_shards_of_a_node_stay_inside_and_replicas_cross(self):
        overrides = ["parallel.shard=gradients", "parallel.shard_group=node"]
        sums = {"all": 0, "node": 0, "across": 0}
        for row in self.planned(*overrides)["traffic"]:
            crosses = row["collective"] == "all_reduce"
            group = "all" if row["ranks"] == self.RANKS else "across" if crosses else "node"
            sums[group] += row["wire_bytes"] * row["calls"]
        self.assertGreater(min(sums.values()), 0)
        each = sums["all"] / (self.RANKS - 1)
        # A rank's replica on the other node has its number there.
        between = {rank: {(True, gpu): each + (sums["across"] if gpu == rank % 2 else 0)
                          for gpu in (0, 1)} for rank in range(self.RANKS)}
        self.expect(self.counted(*overrides), each + sums["node"], between, "by nodes")


class BrokenLinks(Prepared):
    """The network that NCCL uses fails during training; MPI's does not."""

    def start(self, ranks, *overrides):
        self.run_name = self.id().rpartition(".")[2]
        job = jobs.Job(INGOT, MPIRUN, ranks, f"run.name={self.run_name}", *GPUS, *overrides,
                       config="faulty.yaml")
        self.addCleanup(lambda: job.process.poll() is None and job.kill())
        job.wait_for_step(3)
        return job

    @staticmethod
    def on_the_switch(*command):
        """Process 1 of the nodes is in the network namespace of the switches."""
        subprocess.run(["nsenter", "-t", "1", "--net", *command], check=True)

    def check_named(self, job):
        self.assertEqual(job.wait(), TIMEOUT, job.output)
        self.assertEqual(job.processes_left(), [], job.output)
        self.assertEqual(len(job.errors()), 1, job.output)
        self.assertRegex(job.output, r"no progress for \S+ s in collective \d+, \w+ of \d+ ")
        # Or some had got through the one before, and others had not.
        self.assertRegex(job.output, r"none of them is done with it: it hangs inside|"
                         r"done with it: ranks? .*; not rank|its stream has not come to it")
        self.assertEqual(jobs.flights(self.run_name), list(range(job.ranks)), job.output)
        for rank in range(job.ranks):
            record = jobs.flight(self.run_name, rank)
            self.assertEqual((record["rank"], record["ranks"]), (rank, job.ranks))
            self.assertGreaterEqual(record["step"], 3)
            states = {call["state"] for group in record["communicators"]
                      for call in group["calls"]}
            self.assertIn("started", states, f"rank {rank}")

    def test_a_link_that_is_cut(self):
        job = self.start(3)
        self.on_the_switch("ip", "link", "set", "fabric1", "down")
        self.addCleanup(self.on_the_switch, "ip", "link", "set", "fabric1", "up")
        self.check_named(job)

    def test_a_link_too_slow_for_the_timeout(self):
        job = self.start(2)
        shape = ["dev", "fabric1", "root"]
        try:
            self.on_the_switch("tc", "qdisc", "add", *shape, "tbf", "rate", "4kbit", "burst", "2kb",
                               "latency", "60s")
        except subprocess.CalledProcessError:
            self.skipTest("this kernel cannot shape links")
        self.addCleanup(self.on_the_switch, "tc", "qdisc", "del", *shape)
        self.check_named(job)


if __name__ == "__main__":
    if "INGOT_ON_NODE" not in os.environ:
        sys.exit("run this by with_nodes.sh --fabric 2")
    unittest.main(argv=[sys.argv[0], *(word for word in sys.argv[3:] if word != "--full")])
