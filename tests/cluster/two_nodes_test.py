#!/usr/bin/env python3
"""Two nodes that exchange over TCP: every collective, and a training run.

    two_nodes_test.py INGOT TESTS      TESTS: folder of the multi-rank test programs

The nodes are network namespaces (with_nodes.sh); exits with 77 where there are none to be had.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

INGOT, TESTS = (os.path.abspath(path) for path in sys.argv[1:3])
WITH_NODES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "with_nodes.sh")
SKIPPED = 77
CONFIG = """\
data: {train: text.h5}
model: {layers: 2, width: 32, heads: 2, context: 32}
batch: {micro: 1, global: 4}
train: {steps: 10}
schedule: {warmup: 2, steps: 10}
"""


def on_two_nodes(ranks, *command, **environment):
    """Runs ranks that alternate between the nodes, so that their MPI numbers are not ingot's."""
    return subprocess.run(
        [WITH_NODES, "2", "mpirun", "--quiet", "-np", str(ranks), "--map-by", "node", *command],
        env=dict(os.environ, **environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=280)


def losses(run):
    with open(f"{run}/metrics.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["loss"] for row in rows if "loss" in row]


def environment_of(run):
    with open(f"{run}/environment.json", encoding="utf-8") as file:
        return json.load(file)


class TwoNodes(unittest.TestCase):
    def programs(self, ranks, transport):
        for name in ("mpi_session_mpi_test", "communicator_mpi_test",
                     "random_sequences_mpi_test"):
            done = on_two_nodes(ranks, f"{TESTS}/{name}", INGOT_TEST_TRANSPORT=transport,
                                INGOT_TEST_EXPECTED_NODES="2")
            self.assertEqual(done.returncode, 0, f"{name}\n{done.stdout[-4000:]}")

    def test_collectives_of_one_rank_per_node(self):
        self.programs(2, "mpi")

    def test_collectives_of_two_ranks_per_node(self):
        self.programs(4, "hierarchical")

    def test_collectives_of_unequal_nodes(self):
        self.programs(3, "hierarchical")

    def test_training_has_the_losses_of_one_node(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            with open("text.txt", "w", encoding="utf-8") as file:
                for line in range(3000):
                    file.write(f"line {line} of a text that repeats itself, {line * line}\n")
            with open("job.yaml", "w", encoding="utf-8") as file:
                file.write(CONFIG)
            subprocess.run([INGOT, "data", "import", "text.txt", "text.h5"], check=True,
                           stdout=subprocess.DEVNULL)
            alone = subprocess.run([INGOT, "train", "job.yaml", "run.name=alone"], check=False,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(alone.returncode, 0, alone.stdout)
            expected = losses("runs/alone")
            self.assertEqual(len(expected), 10)
            for ranks, transport in ((2, "mpi"), (4, "hierarchical"), (4, "mpi")):
                name = f"{transport}-{ranks}"
                chosen = "auto" if name != "mpi-4" else "mpi"
                done = on_two_nodes(ranks, INGOT, "train", "job.yaml", f"run.name={name}",
                                    f"collectives.transport={chosen}")
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertEqual(environment_of(f"runs/{name}")["transport"], transport)
                for step, (here, there) in enumerate(zip(expected, losses(f"runs/{name}"),
                                                         strict=True)):
                    # Sums in another order: equal but for rounding.
                    self.assertAlmostEqual(here, there, delta=1e-5 * abs(here),
                                           msg=f"{name}, step {step}")
            os.chdir("/")

    def test_shared_memory_across_nodes_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            with open("job.yaml", "w", encoding="utf-8") as file:
                file.write(CONFIG)
            with open("text.txt", "w", encoding="utf-8") as file:
                file.write("a text " * 3000)
            subprocess.run([INGOT, "data", "import", "text.txt", "text.h5"], check=True,
                           stdout=subprocess.DEVNULL)
            done = on_two_nodes(2, INGOT, "train", "job.yaml", "collectives.transport=shm")
            self.assertEqual(done.returncode, 78, done.stdout)
            self.assertEqual(done.stdout.count("2 nodes"), 1, done.stdout)
            os.chdir("/")


if __name__ == "__main__":
    if subprocess.run([WITH_NODES, "2", "true"], check=False).returncode == SKIPPED:
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1])
