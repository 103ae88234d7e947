#!/usr/bin/env python3
"""Training on GPUs beside training on the CPU, through the real command: the same losses within
rounding, whatever the model, the ranks and what is recomputed; checkpoints and generation across
devices; and the refusals. Run by tests/on_gpu.sh on real GPUs or simulated ones.

    gpu_test.py INGOT MPIRUN KIND [unittest arguments]      KIND: gpu or gpusim
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

INGOT, MPIRUN, KIND = sys.argv[1:4]
SIMULATED = KIND == "gpusim"
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   LC_ALL="C.UTF-8")
LAUNCH = [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none",
          "--mca", "mpi_yield_when_idle", "1"]
GPU_ERROR, REFUSED, CONFIGURATION = 71, 72, 78
GPT = """\
data: {train: text.h5}
model: {layers: 2, width: 128, heads: 2, context: 32}
batch: {micro: 1, global: 4}
train: {steps: 4}
schedule: {warmup: 2, steps: 4}
optimizer: {learning_rate: 1e-3, ema: 0.9}
log: {every: 1}
"""
LLAMA = ["model.norm=rmsnorm", "model.activation=swiglu", "model.positions=rope",
         "model.bias=false", "model.kv_heads=1", "model.tied=false", "model.dropout=0.1",
         "model.document_mask=true", "model.reset_positions=true"]
MLP = """\
data: {train: table.h5}
model: {kind: mlp, activation: relu, hidden_layers: [24, 8], embedding: 5}
batch: {micro: 16, global: 64}
train: {steps: 6}
schedule: {warmup: 2, steps: 6}
optimizer: {learning_rate: 1e-2}
evaluate: {every: 3}
"""


def ingot(ranks, *arguments, **environment):
    """(exit code, everything printed); 0 ranks: without mpirun."""
    prefix = [*LAUNCH, "-np", str(ranks)] if ranks > 0 else []
    done = subprocess.run([*prefix, INGOT, *arguments], env={**ENVIRONMENT, **environment},
                          text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, errors="replace", timeout=300, check=False)
    return done.returncode, done.stdout


def gpus():
    """How many real ones there are."""
    listed = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, text=True, check=False)
    return sum(line.startswith("GPU") for line in listed.stdout.splitlines())


def rows(run, key):
    """step -> value of a key, of the rows of metrics.jsonl that have it."""
    with open(f"runs/{run}/metrics.jsonl", encoding="utf-8") as file:
        values = [json.loads(line) for line in file]
    return {row["step"]: row[key] for row in values if key in row}


def machine(name, text):
    """A machine file for gpusim, as an environment."""
    path = os.path.abspath(f"{name}.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return {"GPUSIM_MACHINE": path}


class Prepared(unittest.TestCase):
    """A folder with data sets and configurations, and ways to train there."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ingot-gpu-")
        os.chdir(cls.folder.name)
        # Tuning files of simulated GPUs stay away from real ones.
        ENVIRONMENT["XDG_CACHE_HOME"] = os.path.abspath("cache")
        with open("text.txt", "w", encoding="utf-8") as file:
            file.write("\n\n".join(f"Document {n} of a text that repeats itself, {n * n}."
                                   for n in range(400)))
        with open("table.csv", "w", encoding="utf-8") as file:
            file.write("a,b,kind,label\n")
            for n in range(800):
                label = (n % 17 > 8) ^ (n % 3 == 0)
                file.write(f"{n % 17},{n * n % 29},{'xyz'[n % 3]},{label:d}\n")
        for name, text in (("gpt", GPT), ("mlp", MLP)):
            with open(f"{name}.yaml", "w", encoding="utf-8") as file:
                file.write(text)
        for arguments in (["text.txt", "text.h5"],
                          ["table.csv", "table.h5", "--label", "label"]):
            code, out = ingot(0, "data", "import", *arguments)
            assert code == 0, out

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    def train(self, ranks, run, device, *overrides, config="gpt.yaml", **environment):
        code, out = ingot(ranks, "train", config, f"run.name={run}", f"device={device}",
                          *overrides, **environment)
        self.assertEqual(code, 0, out)
        return out

    def expect_close(self, found, expected, tolerance):
        self.assertEqual(sorted(found), sorted(expected))
        self.assertTrue(expected)
        for step, value in expected.items():
            self.assertLess(abs(found[step] / value - 1), tolerance, f"step {step}: {found[step]}"
                            f" on GPUs, {value} on the CPU")

    def compare(self, name, *overrides, config="gpt.yaml", tolerance=2e-5, ranks=(1, 2)):
        """Trains on the CPU and on GPUs and compares losses and norms."""
        self.train(1, f"{name}-cpu", "cpu", *overrides, config=config)
        for count in ranks:
            run = f"{name}-{count}"
            with self.subTest(ranks=count):
                self.train(count, run, "cuda", *overrides, config=config)
                for key, factor in (("loss", 1), ("gradient_norm", 10), ("validation_loss", 1)):
                    self.expect_close(rows(run, key), rows(f"{name}-cpu", key), factor * tolerance)


class OnGpus(Prepared):
    def test_gpt_in_f32(self):
        self.compare("gpt-f32")

    def test_gpt_in_bf16(self):
        self.compare("gpt-bf16", "train.precision=bf16", tolerance=5e-3)

    def test_llama_style_in_f32(self):
        self.compare("llama-f32", *LLAMA, ranks=(2,))

    def test_llama_style_in_bf16(self):
        self.compare("llama-bf16", "train.precision=bf16", *LLAMA, tolerance=5e-3, ranks=(1,))

    def test_mlp(self):
        self.compare("mlp", config="mlp.yaml")
        for key in ("auc", "average_precision"):
            self.expect_close(rows("mlp-2", key), rows("mlp-cpu", key), 1e-3)

    def test_other_optimizers(self):
        for kind in ("sgd", "lion"):
            self.compare(kind, f"optimizer.kind={kind}", "optimizer.learning_rate=1e-4",
                         "train.steps=2", "schedule.steps=4", ranks=(1,))

    def test_one_to_eight_gpus(self):
        """Over NCCL and through the host's memory: the curve of one CPU."""
        self.train(1, "one-cpu", "cpu", "batch.global=8")
        for transport, counts in (("nccl", (1, 2, 4, 8)), ("auto", (2, 8)), ("mpi", (4,))):
            for count in counts:
                if not SIMULATED and count > gpus():
                    continue
                with self.subTest(transport=transport, ranks=count):
                    run = f"{transport}-{count}"
                    out = self.train(count, run, "cuda", "batch.global=8",
                                     f"collectives.transport={transport}")
                    for key in ("loss", "gradient_norm", "validation_loss"):
                        factor = 10 if key == "gradient_norm" else 1
                        self.expect_close(rows(run, key), rows("one-cpu", key), factor * 2e-5)
                    if count > 1:
                        by = "mpi" if transport == "mpi" else "nccl"
                        self.assertRegex(out, rf"ranks +{count} \({by}")

    def test_shard_groups_over_nccl(self):
        """Split communicators: this machine as two nodes, with a whole state each."""
        if not SIMULATED and gpus() < 4:
            self.skipTest("needs 4 GPUs")
        self.train(1, "whole-cpu", "cpu", "batch.global=8")
        for shard in ("optimizer", "gradients", "parameters"):
            with self.subTest(shard=shard):
                self.train(4, f"group-{shard}", "cuda", "batch.global=8", "parallel.bucket=64KiB",
                           f"parallel.shard={shard}", "parallel.shard_group=node",
                           "collectives.transport=nccl", INGOT_TEST_NODES="2")
                for key, factor in (("loss", 1), ("gradient_norm", 10)):
                    self.expect_close(rows(f"group-{shard}", key), rows("whole-cpu", key),
                                      factor * 2e-5)

    def test_a_run_tells_of_nccl(self):
        if not SIMULATED and gpus() < 2:
            self.skipTest("needs 2 GPUs")
        out = self.train(2, "tells", "cuda", "train.steps=1", "collectives.transport=nccl",
                         NCCL_ALGO="Ring")
        self.assertRegex(out, r"ranks +2 \(nccl \d+\.\d+\.\d+\)")
        self.assertIn("NCCL is steered by NCCL_ALGO=Ring", out)
        self.assertIn("logs/nccl-rank-00000.log", out)
        with open("runs/tells/environment.json", encoding="utf-8") as file:
            environment = json.load(file)
        self.assertEqual(environment["nccl_variables"], {"NCCL_ALGO": "Ring"})
        self.assertRegex(environment["transport"], r"^nccl \d")
        for rank in (0, 1):
            with open(f"runs/tells/logs/nccl-rank-{rank:05}.log", encoding="utf-8") as file:
                self.check_log_of_nccl(file.read(), rank, "RING")

    def check_log_of_nccl(self, log, rank, algorithm):
        """Where the rank is, what carries its exchanges, and what each size takes."""
        self.assertRegex(log, r"(?m)^NCCL version \d+\.\d+\.\d+")
        line = r"(?m)^\S+:\d+:\d+ \[\d\] NCCL INFO "
        self.assertRegex(log, line + r"NCCL_ALGO set by environment to \w+")
        self.assertRegex(log, line + rf"comm .*\brank {rank} nRanks 2 nNodes 1 localRanks 2")
        self.assertRegex(log, line + rf"Trees \[0\] .*->{rank}->")
        self.assertRegex(log, line + r"Channel \d\d/")
        self.assertRegex(log, line + r"AllReduce: \d+ Bytes -> Algo " + algorithm + r" proto \w+ ")
        self.assertRegex(log, line + rf"\w+ .*\brank {rank} nranks 2 .* - Init COMPLETE")

    def test_the_log_of_nccl_lies_where_the_user_wants_it(self):
        if not SIMULATED and gpus() < 2:
            self.skipTest("needs 2 GPUs")
        out = self.train(2, "signs", "cuda", "train.steps=1", "collectives.transport=nccl",
                         "run.dir=runs/50%p off", NCCL_ALGO="Tree")
        self.assertIn("50%p off/logs/nccl-rank-00000.log", out)
        with open("runs/50%p off/logs/nccl-rank-00001.log", encoding="utf-8") as file:
            self.check_log_of_nccl(file.read(), 1, "TREE")
        out = self.train(2, "elsewhere", "cuda", "train.steps=1", "collectives.transport=nccl",
                         NCCL_DEBUG_FILE=os.path.abspath("of-%h-%p.log"), NCCL_ALGO="Tree")
        self.assertIn("of-%h-%p.log", out)
        self.assertIn("NCCL is steered by NCCL_ALGO=Tree NCCL_DEBUG_FILE=", out)
        found = [name for name in os.listdir(".") if re.fullmatch(r"of-[^%]+-\d+\.log", name)]
        self.assertEqual(len(found), 2, found)
        self.assertFalse([name for name in os.listdir("runs/elsewhere/logs") if "nccl" in name])

    def test_large_buffers_are_memory_of_nccl_and_registered(self):
        """From 8 MiB on: a bucket and the gradients that hold it. What NCCL gave comes back."""
        if not SIMULATED and gpus() < 2:
            self.skipTest("needs 2 GPUs")
        large = ["model.hidden_layers=[1500, 1500]", "train.steps=2", "parallel.bucket=32MiB",
                 "evaluate.every=0"]
        self.train(1, "large-cpu", "cpu", *large, config="mlp.yaml")
        for transport, shard in (("nccl", "none"), ("auto", "gradients")):
            with self.subTest(transport=transport, shard=shard):
                report = os.path.abspath(f"memory-{transport}-%r.json")
                self.train(2, f"large-{transport}", "cuda", *large, f"parallel.shard={shard}",
                           f"collectives.transport={transport}", config="mlp.yaml",
                           **({"GPUSIM_REPORT": report} if SIMULATED else {}))
                self.expect_close(rows(f"large-{transport}", "loss"), rows("large-cpu", "loss"),
                                  2e-5)
                for rank in (0, 1) if SIMULATED else ():
                    with open(report.replace("%r", str(rank)), encoding="utf-8") as file:
                        counted = json.load(file)["nccl_memory"]
                    calls = {what: entry["calls"] for what, entry in counted.items()}
                    self.assertGreater(calls["allocated"], 0, counted)
                    self.assertGreater(calls["registered"], 0, counted)
                    # At least one buffer of all weights' size is both.
                    for what in ("allocated", "registered"):
                        self.assertGreater(counted[what]["bytes"], 4 * 1500 * 1500, counted)
                    self.assertEqual(calls["freed"], calls["allocated"], counted)
                    self.assertEqual(calls["deregistered"], calls["registered"], counted)
                    self.assertEqual(calls["exports_refused"], 0, counted)

    def test_every_way_to_share_state(self):
        """Cut over two GPUs: the losses of one CPU rank, and checkpoints that go on there."""
        self.train(1, "whole", "cpu")
        for shard in ("optimizer", "gradients", "parameters"):
            with self.subTest(shard=shard):
                self.train(2, shard, "cuda", f"parallel.shard={shard}", "parallel.bucket=64KiB")
                for key in ("loss", "gradient_norm"):
                    self.expect_close(rows(shard, key), rows("whole", key), 2e-5)
        self.train(2, "parameters", "cuda", "parallel.shard=parameters", "train.steps=5",
                   "parallel.bucket=64KiB")
        self.train(1, "whole", "cpu", "train.steps=5")
        self.expect_close(rows("parameters", "loss"), rows("whole", "loss"), 2e-5)

    def test_what_graphs_start_is_counted(self):
        """The start table's figures are what the simulator then sees, and hold what is planned."""
        report = os.path.abspath("graphs-%r.json")
        table = self.train(2, "counted", "cuda", "train.steps=3", "parallel.bucket=64KiB",
                           **({"GPUSIM_REPORT": report} if SIMULATED else {}))
        told = re.search(r"graphs per step +([\d,]+) nodes: ([\d,]+) kernels, (\d+) copies, "
                         r"(\d+) fills, (\d+) host calls", table)
        self.assertIsNotNone(told, table)
        nodes, kernels, copies, fills, host = (int(text.replace(",", "")) for text in told.groups())
        code, out = ingot(0, "plan", "gpt.yaml", "--ranks", "2", "--json", "--device", "cuda",
                          "parallel.bucket=64KiB")
        self.assertEqual(code, 0, out)
        ops = sum(row["runs"] * row["ops"] for row in json.loads(out)["launches"])
        self.assertGreaterEqual(kernels, ops, "an op is at least one kernel")
        self.assertLess(kernels, 3 * ops)
        if not SIMULATED:
            return
        staging = json.loads(out)["memory"]["kinds"]["small exchanges"]
        self.assertGreater(staging, 32 << 20)
        code, out = ingot(0, "plan", "gpt.yaml", "--ranks", "2", "--device", "cuda",
                          "parallel.bucket=64KiB")
        for planned, held in (("small exchanges", "  small exchanges"),
                              ("total", "memory per rank")):
            size = re.search(rf"(?m)^{planned} +[\d,]+ +(.*)$", out).group(1)
            self.assertRegex(table, rf"(?m)^{held} +{size}$")
        with open(report.replace("%r", "0"), encoding="utf-8") as file:
            graphs = json.load(file)["graphs"][:3]  # micro, micro_last, update; not evaluate
        seen = {key: sum(graph["launches"] * graph[key] for graph in graphs) / 3
                for key in ("nodes", "copies", "fills", "host")}
        self.assertEqual(seen, {"nodes": nodes, "copies": copies, "fills": fills, "host": host})

    def test_transports_are_measured_side_by_side(self):
        tuning = os.path.abspath("measured.yaml")
        bench = ["bench", "collectives", "--device", "cuda", "--min", "1KiB", "--max", "4KiB",
                 "--seconds", "0.001", "--tuning", tuning, "--json"]
        code, out = ingot(2, *bench)
        self.assertEqual(code, 0, out)
        report = json.loads(out[out.index("{\n"):])
        if SIMULATED:
            self.assertEqual(report["transports"],
                             ["nccl", "one_shot", "two_shot", "ordered", "mpi"])
        for row in report["rows"]:
            self.assertEqual(row["errors"], 0, row)
            self.assertGreater(row["graph_seconds"], 0, row)
            factor = {"all_reduce": 2 * 1 / 2, "broadcast": 1}.get(row["operation"], 1 / 2)
            self.assertAlmostEqual(row["bus_bandwidth"] * row["graph_seconds"] / row["size"],
                                   factor)
        for name in report["transports"]:
            kinds = {row["operation"] for row in report["rows"] if row["transport"] == name}
            self.assertEqual(len(kinds), 1 if name == "ordered" else 5, name)
        # The next run takes what was measured.
        with open(tuning, encoding="utf-8") as file:
            text = file.read()
        for name in report["transports"]:
            self.assertIn(f"transport: {name}", text)
        self.assertEqual(sorted(report["crossovers"]),
                         ["all_gather", "all_reduce", "one_shot", "reduce_scatter"])
        self.assertIn(report["crossovers"]["all_reduce"], [0, 1024, 4096])
        self.train(2, "tuned", "cuda", f"tuning={tuning}", "train.steps=1")

    def test_recomputation_changes_no_bit(self):
        for precision in ("f32", "bf16"):
            losses = []
            for mode in ("none", "layer", "attention"):
                run = f"recompute-{precision}-{mode}"
                self.train(1, run, "cuda", f"model.recompute={mode}", "train.steps=2",
                           f"train.precision={precision}", "model.dropout=0.1")
                losses.append(rows(run, "loss"))
            self.assertEqual(losses[1], losses[0])
            self.assertEqual(losses[2], losses[0])

    def test_a_run_repeats_its_bits(self):
        for run in ("first", "second"):
            self.train(2, run, "cuda", "train.steps=3", GPUSIM_SEED=str(len(run)),
                       GPUSIM_DELAY="100")
        self.assertEqual(rows("first", "loss"), rows("second", "loss"))

    def test_a_checkpoint_goes_on_on_the_other_device(self):
        self.train(1, "whole", "cpu", "checkpoint.every=2", "checkpoint.keep=0")
        for first, second in (("cpu", "cuda"), ("cuda", "cpu")):
            run = f"{first}-then-{second}"
            self.train(2, run, first, "train.steps=2")
            out = self.train(2, run, second)
            self.assertIn("at step 2", out)
            self.assertIn("resuming with the numerics fingerprint", out)
            self.expect_close(rows(run, "loss"), rows("whole", "loss"), 2e-5)
        # Bits survive the way through a file and device memory.
        self.train(1, "all-cuda", "cuda")
        shutil.copytree("runs/cuda-then-cpu/checkpoints/step-00000002",
                        "runs/resumed/checkpoints/step-00000002")
        self.train(2, "resumed", "cuda")
        self.train(2, "all-cuda-2", "cuda")
        self.assertEqual(rows("resumed", "loss")[4], rows("all-cuda-2", "loss")[4])

    def test_ranks_share_algorithms_that_are_measured_once(self):
        tuning = "tuning=algorithms.yaml"
        line = r"algorithms of matrix products: (\d+) from \S*algorithms\.yaml, (\d+) measured"
        out = self.train(2, "measures", "cuda", tuning, "train.steps=1")
        known, measured = map(int, re.search(line, out).groups())
        self.assertEqual(known, 0)
        self.assertGreater(measured, 0)
        with open("algorithms.yaml", encoding="utf-8") as file:
            written = file.read()
        out = self.train(2, "reads", "cuda", tuning, "train.steps=1")
        self.assertEqual(re.search(line, out).groups(), (str(measured), "0"))
        with open("algorithms.yaml", encoding="utf-8") as file:
            self.assertEqual(file.read(), written)
        self.assertEqual(rows("reads", "loss"), rows("measures", "loss"))
        out = self.train(2, "reads", "cuda", tuning)
        self.assertIn("at step 1", out)
        self.assertNotIn("fingerprint", out)

    def test_evaluates_and_generates_the_same(self):
        self.train(1, "source", "cpu", "train.steps=4")
        texts, losses = [], []
        for device in ("cpu", "cuda"):
            code, out = ingot(0, "generate", "runs/source", "--prompt", "Document 7 of",
                              "--tokens", "12", "--temperature", "0", "--device", device)
            self.assertEqual(code, 0, out)
            texts.append(out)
            code, out = ingot(0, "evaluate", "runs/source", "--device", device, "--average")
            self.assertEqual(code, 0, out)
            losses.append(float(re.search(r"loss ([\d.]+)", out).group(1)))
        self.assertEqual(texts[0], texts[1])
        self.assertAlmostEqual(losses[0], losses[1], delta=1e-4)

    def test_names_the_device(self):
        self.train(1, "named", "auto", "train.steps=1")
        with open("runs/named/environment.json", encoding="utf-8") as file:
            self.assertRegex(json.load(file)["device"], r"^cuda, GPU 0: .*sm_\d+")


@unittest.skipUnless(SIMULATED, "machines are made up by gpusim")
class Refusals(Prepared):
    def refuse(self, code, pattern, text, *overrides, ranks=1, **environment):
        found, out = ingot(ranks, "train", "gpt.yaml", "run.name=refused", "device=cuda",
                           *overrides,
                           **machine("refusing", text), **environment)
        self.assertEqual(found, code, out)
        self.assertRegex(out, pattern)
        return out

    def test_no_driver_and_an_old_one(self):
        self.refuse(REFUSED, "no NVIDIA driver", "driver_version: 0\ndevices: [{count: 1}]\n")
        self.refuse(REFUSED, r"supports CUDA 12\.4, .* runtime 13\.",
                    "driver_version: 12040\ndevices: [{count: 1}]\n")

    def test_nccl_without_gpus(self):
        found, out = ingot(2, "train", "gpt.yaml", "run.name=refused", "device=cpu",
                           "collectives.transport=nccl")
        self.assertEqual(found, CONFIGURATION, out)
        self.assertIn("set device: cuda", out)

    def test_no_gpu_and_fewer_than_ranks(self):
        self.refuse(REFUSED, "shows no GPU", "devices: []\n")
        self.refuse(REFUSED, "has 1 GPU for 2 ranks", "devices: [{count: 1}]\n", ranks=2)

    def test_auto_takes_the_cpu_where_gpus_are_too_few(self):
        out = self.train(2, "auto", "auto", "train.steps=1",
                         **machine("one", "devices: [{count: 1}]\n"))
        self.assertRegex(out, "device: cpu, since .* has 1 GPU for 2 ranks")

    def test_gpus_that_are_not_dedicated(self):
        strict = "environment.require_dedicated=strict"
        self.refuse(REFUSED, "MIG", "devices: [{count: 1, mig: true}]\n", strict)
        shared = "foreign_processes: 2\ndevices: [{count: 1}]\n"
        self.refuse(REFUSED, "is used by 2 other processes", shared, strict)
        out = self.train(1, "shared", "cuda", "train.steps=1", **machine("shared", shared))
        self.assertIn("is used by 2 other processes", out)

    def test_out_of_memory(self):
        small = "devices: [{count: 1, memory: 24 MiB}]\n"
        out = self.refuse(GPU_ERROR, "out of memory", small, "batch.micro=64", "batch.global=0")
        self.assertRegex(out, r"\n  activations +\S+ MiB")
        fits = int(re.search(r"largest batch\.micro that fits is (\d+)", out).group(1))
        self.assertGreater(fits, 0)
        self.train(1, "fits", "cuda", f"batch.micro={fits}", "batch.global=0",
                   "train.steps=1", **machine("small", small))
        self.refuse(GPU_ERROR, "out of memory", small, f"batch.micro={fits + 1}",
                    "batch.global=0")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
