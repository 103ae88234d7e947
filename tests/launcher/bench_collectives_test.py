#!/usr/bin/env python3
"""`ingot bench collectives` through the real command: its table, its JSON, what it keeps in the
tuning file, and mistakes.

    bench_collectives_test.py INGOT MPIRUN
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

INGOT, MPIRUN = sys.argv[1:3]
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   LC_ALL="C.UTF-8")
LAUNCH = [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none",
          "--mca", "mpi_yield_when_idle", "1"]
USAGE, CANNOT_WRITE, CONFIGURATION = 64, 73, 78
OPERATIONS = ["all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast"]


class BenchCollectives(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ingot-bench-")
        self.addCleanup(self.folder.cleanup)
        self.tuning = os.path.join(self.folder.name, "tuning.yaml")

    def bench(self, *options, ranks=2):
        """(exit code, standard output, lines of standard error) of a short bench."""
        prefix = [*LAUNCH, "-np", str(ranks)] if ranks else []
        if "--max" not in options:
            options = ("--max", "64KiB", *options)
        done = subprocess.run(
            [*prefix, INGOT, "bench", "collectives", "--device", "cpu", "--seconds", "0.001",
             "--tuning", self.tuning, *options],
            env=ENVIRONMENT, check=False, capture_output=True, text=True, timeout=120)
        return (done.returncode, done.stdout,
                [line for line in done.stderr.splitlines() if line.strip()])

    def rows(self, *options, ranks=2):
        code, out, errors = self.bench("--json", *options, ranks=ranks)
        self.assertEqual((code, errors), (0, []), out)
        return json.loads(out)

    def test_every_operation_is_measured_and_right(self):
        for ranks in (2, 3):
            for kind in ("f32", "bf16", "i64"):
                report = self.rows("--type", kind, "--min", "1000", "--factor", "8", ranks=ranks)
                self.assertEqual(report["ranks"], ranks)
                self.assertEqual(report["transports"], ["shm"])
                rows = report["rows"]
                self.assertEqual([row["operation"] for row in rows][::3], OPERATIONS)
                for row in rows:
                    self.assertEqual(row["errors"], 0, row)
                    self.assertIsNone(row["graph_seconds"], "a CPU records nothing")
                    self.assertGreater(row["seconds"], 0)
                    self.assertGreater(row["host_seconds"], 0)
                    self.assertAlmostEqual(row["algorithm_bandwidth"],
                                           row["size"] / row["seconds"], delta=1e-3)
                    factor = {"all_reduce": 2 * (ranks - 1) / ranks, "broadcast": 1}.get(
                        row["operation"], (ranks - 1) / ranks)
                    self.assertAlmostEqual(row["bus_bandwidth"],
                                           factor * row["algorithm_bandwidth"], delta=1e-3)

    def test_memory_that_is_not_shared_works_too(self):
        report = self.rows("--unshared", "--operation", "all_reduce,all_gather")
        self.assertFalse(report["shared"])
        self.assertTrue(all(row["errors"] == 0 for row in report["rows"]))

    def test_the_table_names_what_was_measured_and_what_is_unknown(self):
        code, out, errors = self.bench("--operation", "broadcast", "--transport", "mpi")
        self.assertEqual((code, errors), (0, []))
        self.assertIn("transport mpi, 2 ranks on 1 node", out)
        for size in ("1KiB", "4KiB", "16KiB", "64KiB"):
            self.assertIn(f"{size} ", out)
        self.assertRegex(out, r"broadcast +\d+\.?\d* +\d+\.\d\d +-\n")
        self.assertIn(f"written to {self.tuning}", out)

    def test_the_tuning_file_keeps_figures_of_other_transports(self):
        self.bench("--operation", "all_reduce", "--max", "1KiB", "--no-write")
        self.assertFalse(os.path.exists(self.tuning))
        self.bench("--operation", "all_reduce", "--max", "4KiB", "--transport", "mpi")
        self.bench("--operation", "all_reduce", "--max", "4KiB", "--transport", "mpi")
        with open(self.tuning, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(text.count("operation: all_reduce"), 2, text)  # replaced, not repeated
        with open(self.tuning, "w", encoding="utf-8") as file:
            file.write(text.replace("transport: mpi", "transport: pigeon"))
        _, out, _ = self.bench("--operation", "all_reduce", "--max", "4KiB", "--transport", "mpi")
        self.assertRegex(out, r"faster than pigeon")
        self.assertRegex(out, r"all_reduce +\S+ +\S+ +(from \d+KiB|never)\n")

    def test_transports_stand_side_by_side(self):
        report = self.rows("--transport", "shm,mpi,ordered", "--operation",
                           "all_reduce,reduce_scatter", "--max", "4KiB")
        self.assertEqual(report["transports"], ["shm", "mpi", "ordered"])
        self.assertEqual([(row["operation"], row["size"], row["transport"]) for row in
                          report["rows"]],
                         [("all_reduce", size, name) for size in (1024, 4096)
                          for name in ("shm", "mpi")] +
                         [("reduce_scatter", size, name) for size in (1024, 4096)
                          for name in ("shm", "mpi", "ordered")])
        self.assertTrue(all(row["errors"] == 0 for row in report["rows"]))
        _, out, _ = self.bench("--transport", "shm,mpi", "--operation", "broadcast")
        self.assertIn("transport shm, mpi, 2 ranks on 1 node", out)
        self.assertRegex(out, r"broadcast +mpi +\S+ +\S+ +- +- +(from \S+|never)")

    def test_mistakes(self):
        for pattern, options in (
                ("did you mean 'all_reduce'", ("--operation", "allreduce")),
                ("--min: .*twelve", ("--min", "twelve")),
                ("--min 1MiB and --max 1KiB are no range", ("--min", "1MiB", "--max", "1KiB")),
                ("--min 0 ", ("--min", "0")),
                ("--type.*f31", ("--type", "f31")),
                ("--transport.*pigeon", ("--transport", "pigeon")),
                ("--factor", ("--factor", "1")),
                ("did you mean '--operation'", ("--operatoin", "broadcast"))):
            with self.subTest(options=options):
                code, out, errors = self.bench(*options)
                self.assertEqual((code, out, len(errors)), (USAGE, "", 1), errors)
                self.assertRegex(errors[0], pattern)

    def test_what_cannot_be_had_is_refused(self):
        code, _, errors = self.bench("--transport", "nccl")
        self.assertEqual((code, len(errors)), (CONFIGURATION, 1), errors)
        self.assertIn("computes on the CPU", errors[0])
        code, _, errors = self.bench("--transport", "ordered", "--operation", "broadcast")
        self.assertEqual((code, len(errors)), (USAGE, 1), errors)
        self.assertIn("ordered reductions are reduce_scatter of f32", errors[0])

    def test_one_rank_has_nobody_to_exchange_with(self):
        for ranks in (0, 1):
            code, _, errors = self.bench(ranks=ranks)
            self.assertEqual((code, len(errors)), (USAGE, 1), errors)
            self.assertIn("mpirun -np 2 ingot bench collectives", errors[0])

    def test_a_tuning_file_that_is_none_is_left_alone(self):
        with open(self.tuning, "w", encoding="utf-8") as file:
            file.write("version: 1\nmachines: many\n")
        code, _, errors = self.bench("--operation", "broadcast")
        self.assertEqual((code, len(errors)), (CONFIGURATION, 1), errors)
        self.assertRegex(errors[0], r"tuning\.yaml:2")
        with open(self.tuning, encoding="utf-8") as file:
            self.assertIn("many", file.read())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
