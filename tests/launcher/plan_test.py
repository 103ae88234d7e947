#!/usr/bin/env python3
"""`ingot plan` and `batch.micro: auto`, through the real command: what a plan says is what a job
then holds, for ranks that need not exist, and mistakes are told as usual.

    plan_test.py INGOT MPIRUN SOURCE
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

INGOT, MPIRUN, SOURCE = map(os.path.abspath, sys.argv[1:4])
USAGE, BAD_DATA, CONFIGURATION = 64, 65, 78
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   LC_ALL="C.UTF-8")
LAUNCH = [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none",
          "--mca", "mpi_yield_when_idle", "1"]
CONFIG = """\
device: cpu
threads: 1
data: {train: text.h5}
model: {layers: 2, width: 64, heads: 2, context: 32}
batch: {micro: 2, global: 24}
train: {steps: 2}
optimizer: {ema: 0.9}
"""


def ingot(*arguments, ranks=0, folder=None):
    """(exit code, standard output, standard error); 0 ranks: without mpirun."""
    prefix = [*LAUNCH, "-np", str(ranks)] if ranks > 0 else []
    done = subprocess.run([*prefix, INGOT, *arguments], env=ENVIRONMENT, text=True, cwd=folder,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class WithData(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ingot-plan-")
        os.chdir(cls.folder.name)
        # What was measured on this machine is not known here.
        ENVIRONMENT["XDG_CACHE_HOME"] = os.path.abspath("cache")
        write("text.txt", "In the beginning there was a text to learn from. " * 200)
        write("table.csv", "a,b,label\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(64)))
        for arguments in (["text.txt", "text.h5"], ["table.csv", "table.h5", "--label", "label"]):
            code, _, errors = ingot("data", "import", *arguments, "--validation", "0")
            assert code == 0, errors
        write("job.yaml", CONFIG)

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def succeed(self, *arguments, ranks=0):
        code, out, errors = ingot(*arguments, ranks=ranks)
        self.assertEqual(code, 0, errors)
        return out

    def plan(self, *arguments):
        return json.loads(self.succeed("plan", "job.yaml", "--json", *arguments))

    def refuse(self, code, pattern, *arguments, ranks=0):
        found, _, errors = ingot(*arguments, ranks=ranks)
        self.assertEqual(found, code, errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        self.assertRegex(errors, pattern)


class Plans(WithData):
    def test_the_example_of_the_readme_is_what_is_printed(self):
        with open(f"{SOURCE}/README.md", encoding="utf-8") as file:
            block = re.search(r"\n    (ingot plan configs/(?:.*\\\n)*.*)\n\n((?:(?:    .*)?\n)+)",
                              file.read())
        command = block.group(1).replace("\\\n", "")
        shown = re.sub("(?m)^    ", "", block.group(2)).strip("\n") + "\n"
        code, out, errors = ingot(*command.split()[1:], folder=SOURCE)
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(out, shown)

    def test_what_is_planned_is_what_ranks_then_hold(self):
        for case, overrides in enumerate((
                [], ["train.precision=bf16"], ["parallel.shard=parameters"],
                ["parallel.shard=optimizer", "parallel.reduction=ordered"],
                ["checkpoint.every=1"], ["checkpoint.every=1", "parallel.shard=gradients"])):
            with self.subTest(overrides=overrides):
                planned = self.succeed("plan", "job.yaml", "--ranks", "2", *overrides)
                held = self.succeed("train", "job.yaml", f"run.name=held-{case}", *overrides,
                                    ranks=2)
                total = re.search(r"(?m)^total +[\d,]+ +(.*)$", planned).group(1)
                self.assertRegex(held, rf"(?m)^memory per rank +{total}$")
                table = planned.split("memory of a rank")[1].split("\ntotal")[0]
                kinds = re.findall(r"(?m)^([a-z ]+?) +[\d,]+ +(\S+ \S+)$", table)
                self.assertGreater(len(kinds), 5)
                for kind, size in kinds:
                    self.assertRegex(held, rf"(?m)^  {kind} +{size}$")

    def test_ranks_need_not_exist(self):
        plan = self.plan("--ranks", "96", "--ranks-per-node", "8", "batch.global=192")
        self.assertEqual(plan["batch"], {"micro": 2, "global": 192, "accumulation": 1})
        self.assertTrue(all(row["ranks"] == 96 for row in plan["traffic"]))
        self.assertEqual(sum(plan["memory"]["kinds"].values()), plan["memory"]["total"])
        self.assertEqual(sum(plan["memory"]["buffers"].values()), plan["memory"]["total"])
        one = self.plan()
        self.assertEqual(one["traffic"], [])
        self.assertEqual(one["memory"]["kinds"]["moments"], plan["memory"]["kinds"]["moments"])

    def test_only_the_header_of_the_data_is_read(self):
        shutil.copy("text.h5", "damaged.h5")
        with open("damaged.h5", "r+b") as file:
            text = file.read()
            place = text.rfind("beginning".encode("utf-16-le"))
            self.assertGreater(place, 0)
            file.seek(place)
            file.write(b"\xff\xff")
        self.refuse(BAD_DATA, "outside the vocabulary",
                    "train", "job.yaml", "data.train=damaged.h5")
        damaged = self.plan("data.train=damaged.h5")
        damaged.pop("largest_micro")
        intact = self.plan()
        intact.pop("largest_micro")
        self.assertEqual(damaged, intact)

    def test_tables_are_planned_from_their_columns(self):
        write("table.yaml", "data: {train: table.h5}\ntrain: {steps: 2}\nmodel: {kind: mlp, "
              "activation: relu, hidden_layers: [8]}\n")
        plan = json.loads(self.succeed("plan", "table.yaml", "--json"))
        self.assertEqual(plan["parameters"], 2 * 8 + 8 + 8 + 1)

    def test_the_largest_micro_batch_fits_and_the_next_does_not(self):
        free = ["batch.global=0"]
        small = self.plan(*free, "batch.micro=5")["memory"]["total"]
        found = self.plan(*free, "--memory", str(small))["largest_micro"]
        self.assertEqual(found, {"micro": 5, "bytes": small, "available": small,
                                 "source": "--memory"})
        found = self.plan(*free, "--memory", str(small - 1))["largest_micro"]
        self.assertEqual(found["micro"], 4)
        found = self.plan("--memory", str(small))["largest_micro"]
        self.assertEqual(found["micro"], 4, "of the divisors of 24")
        self.assertIn("none, the smallest takes",
                      self.succeed("plan", "job.yaml", "--memory", "1kB"))

    def test_times_are_predicted_from_the_figures_that_are_named(self):
        job = ["--ranks", "4", "--ranks-per-node", "2"]
        unknown = self.plan(*job)["time"]
        self.assertEqual(set(unknown["machine"].values()), {None})
        self.assertEqual(set(unknown["step"].values()), {None})
        device = ["--flops", "1G", "--bandwidth", "1GB/s"]
        computing = self.plan(*job, *device)["time"]["step"]
        self.assertGreater(computing["compute"], 0)
        self.assertIsNone(computing["exposed"])
        known = self.plan(*job, *device, "--link", "nvlink4", "--network", "8xndr")["time"]
        shaped = self.plan(*job, *device, "--link", "nvlink4", "--network", "1ms,1Mbit/s")["time"]
        for time in (known, shaped):
            step = time["step"]
            self.assertEqual(step["compute"], computing["compute"])
            self.assertLessEqual(step["exposed"], step["communication"])
            self.assertAlmostEqual(step["total"], step["compute"] + step["exposed"])
            self.assertAlmostEqual(step["total"], sum(
                row["runs"] * row["total"] for row in time["programs"]))
        self.assertGreater(shaped["step"]["exposed"], 100 * known["step"]["exposed"])
        out = self.succeed("plan", "job.yaml", *job, *device)
        self.assertRegex(out, r"(?m)^step +[\d.]+ +- +- +-$")
        self.assertIn("network - (-)", out)

    def test_times_come_from_the_tuning_file(self):
        write("tuning.yaml", "version: 1\n")
        measure = ["bench", "ops", "--device", "cpu", "--threads", "1", "--shape", "tiny", "--op",
                   "add", "--seconds", "0.001", "--tuning", "tuning.yaml"]
        self.succeed(*measure)
        exchange = ["bench", "collectives", "--device", "cpu", "--operation", "all_reduce", "--max",
                    "1MiB", "--factor", "1024", "--seconds", "0.001", "--tuning", "tuning.yaml"]
        self.succeed(*exchange, ranks=2)
        plan = self.plan("--ranks", "2", "tuning=tuning.yaml")["time"]
        self.assertGreater(plan["machine"]["matrix_flops"], 0)
        self.assertGreater(plan["machine"]["memory_bandwidth"], 0)
        self.assertGreater(plan["step"]["compute"], 0)

    def test_launches_are_counted(self):
        one = {row["program"]: row for row in self.plan()["launches"]}
        self.assertEqual([one[name]["collectives"] for name in ("micro", "micro_last", "update")],
                         [0, 0, 0])
        self.assertEqual(one["micro"]["runs"], 11)
        plan = self.plan("--ranks", "2")
        two = {row["program"]: row for row in plan["launches"]}
        calls = sum(row["calls"] for row in plan["traffic"])
        self.assertEqual(sum(row["runs"] * row["collectives"] for row in two.values()), calls)
        listing = self.succeed("plan", "job.yaml", "--ranks", "2", "--programs")
        text = listing.split("program micro_last: ")[1].split("\nprogram ")[0]
        self.assertEqual(len(re.findall(r"(?m)^ *\d+ (?:compute|comm   ) wait event", text)),
                         two["micro_last"]["waits"])

    def test_programs_are_printed(self):
        out = self.succeed("plan", "job.yaml", "--programs", "--ranks", "2")
        for name in ("micro", "micro_last", "update", "evaluate"):
            self.assertIn(f"program {name}: ", out)
        self.assertIn("all_reduce", out)

    def test_mistakes(self):
        self.refuse(CONFIGURATION, "nothing.yaml", "plan", "nothing.yaml")
        self.refuse(CONFIGURATION, "unknown key 'modle'", "plan", "job.yaml", "modle.width=3")
        self.refuse(CONFIGURATION, "not a multiple of batch.micro x ranks", "plan", "job.yaml",
                    "--ranks", "5")
        self.refuse(USAGE, "--ranks 4 is not a multiple of --ranks-per-node 3", "plan", "job.yaml",
                    "--ranks", "4", "--ranks-per-node", "3")
        self.refuse(USAGE, "--memory: .*'much'", "plan", "job.yaml", "--memory", "much")
        self.refuse(USAGE, "--flops: .*'fast'", "plan", "job.yaml", "--flops", "fast")
        self.refuse(USAGE, "--bandwidth: .*'3'.*450GB/s", "plan", "job.yaml", "--bandwidth", "3")
        self.refuse(USAGE, "--link: no link is called 'nvlink'; .*nvlink4.*8xndr.*LATENCY", "plan",
                    "job.yaml", "--link", "nvlink")
        self.refuse(USAGE, "--network: the latency 'soon'", "plan", "job.yaml", "--network",
                    "soon,1GB/s")
        self.refuse(BAD_DATA, "gone.h5", "plan", "job.yaml", "data.train=gone.h5")
        self.succeed("plan", "job.yaml", "data.train=gone.h5", "model.vocabulary=256")

    def test_a_plan_for_gpus_that_are_not_here_says_so(self):
        plan = self.plan("--device", "cuda")
        if plan["note"]:
            self.assertIn("there is no GPU here to ask", plan["note"])
            self.assertNotIn("largest_micro", plan)
            self.refuse(USAGE, "name it with --memory", "plan", "job.yaml", "--device", "cuda",
                        "batch.micro=auto")


class AutoMicro(WithData):
    def micro_of(self, run):
        with open(f"runs/{run}/config.yaml", encoding="utf-8") as file:
            text = file.read()
        self.assertNotIn("memory:", text)
        return tuple(int(re.search(rf"(?m)^  {key}: (\d+)$", text).group(1))
                     for key in ("micro", "global"))

    def total(self, micro, ranks, *overrides):
        return self.plan("--ranks", str(ranks), f"batch.micro={micro}",
                         *overrides)["memory"]["total"]

    def test_it_is_the_largest_that_fits_and_is_written_down(self):
        memory = self.total(4, 2)
        out = self.succeed("train", "job.yaml", "run.name=auto", "batch.micro=auto",
                           f"batch.memory={memory}", ranks=2)
        self.assertIn("batch.micro: auto is 4 (the largest that fits)", out)
        self.assertEqual(self.micro_of("auto"), (4, 24))
        planned = self.plan("--ranks", "2", "batch.micro=auto", "--memory", str(memory))
        self.assertEqual(planned["batch"]["micro"], 4)

    def test_free_memory_is_enough_for_a_small_job(self):
        self.succeed("train", "job.yaml", "run.name=free", "batch.micro=auto", "train.steps=1",
                     ranks=2)
        self.assertEqual(self.micro_of("free"), (12, 24))

    def test_without_a_global_batch_it_decides_that_too(self):
        memory = self.total(3, 2, "batch.global=0")
        self.succeed("train", "job.yaml", "run.name=powers", "batch.micro=auto", "batch.global=0",
                     f"batch.memory={memory}", ranks=2)
        self.assertEqual(self.micro_of("powers"), (2, 4))

    def test_a_resumed_run_keeps_its_batches_where_it_can(self):
        job = ["train", "job.yaml", "run.name=resumed", "batch.micro=auto", "batch.global=0"]
        one = self.total(2, 2, "batch.global=0")
        self.succeed(*job, f"batch.memory={one}", ranks=2)
        self.assertEqual(self.micro_of("resumed"), (2, 4))
        out = self.succeed(*job, "train.steps=3", ranks=2)
        self.assertIn("auto is 2 (as the run began with)", out)
        self.assertEqual(self.micro_of("resumed"), (2, 4))
        self.assertIn("resumed from", out)
        out = self.succeed(*job, "train.steps=4", ranks=4)
        self.assertIn("auto is 1 (the largest that fits)", out)
        self.assertEqual(self.micro_of("resumed"), (1, 4))
        self.refuse(CONFIGURATION, "4 samples per step, which 3 ranks cannot share", *job,
                    "train.steps=5", ranks=3)

    def test_refusals(self):
        auto = ["train", "job.yaml", "run.name=none", "batch.micro=auto"]
        self.refuse(CONFIGURATION, r"even with 1 a rank needs .* \(batch.memory\)", *auto,
                    "batch.memory=10kB", ranks=2)
        self.refuse(CONFIGURATION, "parallel.reduction: fast", *auto, "parallel.reduction=ordered",
                    ranks=2)
        self.refuse(CONFIGURATION, "not a multiple of the 5 ranks", *auto, ranks=5)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
