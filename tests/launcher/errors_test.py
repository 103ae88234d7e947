#!/usr/bin/env python3
"""Mistakes that users make, through the real command: each has the exit code of its kind and prints
exactly one line, alone and under mpirun on several ranks.

    errors_test.py INGOT MPIRUN
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest

import h5py

USAGE, BAD_DATA, ENVIRONMENT_REFUSED, CANNOT_WRITE, CONFIGURATION = 64, 65, 72, 73, 78
INGOT, MPIRUN = sys.argv[1:3]
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   LC_ALL="C.UTF-8")
# --quiet leaves out what mpirun itself says about ranks that fail.
LAUNCH = [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none",
          "--mca", "mpi_yield_when_idle", "1"]
CONFIG = """\
data:
  train: tokens.h5
model:
  layers: 1
  width: 16
  heads: 2
  context: 32
batch:
  micro: 2
  global: 4
train:
  steps: 2
"""


def start(ranks, *arguments):
    prefix = [*LAUNCH, "-np", str(ranks)] if ranks > 0 else []
    return subprocess.Popen([*prefix, INGOT, *arguments], env=ENVIRONMENT, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, errors="replace")


def ingot(ranks, *arguments):
    """(exit code, standard output, lines of standard error); 0 ranks: without mpirun."""
    with start(ranks, *arguments) as process:
        out, error = process.communicate(timeout=120)
        return process.returncode, out, [line for line in error.splitlines() if line.strip()]


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


class Mistakes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="ingot-errors-")
        os.chdir(cls.folder.name)
        write("text.txt", "In the beginning there was a text to learn from. " * 60)
        cls.succeed("data", "import", "text.txt", "tokens.h5", "--validation", "0")
        write("table.csv", "a,b,label\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(64)))
        cls.succeed("data", "import", "table.csv", "table.h5", "--label", "label",
                    "--validation", "0")
        write("job.yaml", CONFIG)

    @classmethod
    def tearDownClass(cls):
        os.chdir("/")
        cls.folder.cleanup()

    @classmethod
    def succeed(cls, *arguments):
        code, _, errors = ingot(0, *arguments)
        assert code == 0, errors

    def expect(self, code, pattern, *arguments, ranks=(0, 2)):
        """The command ends with `code` and one line of error that holds `pattern`."""
        for count in ranks:
            with self.subTest(arguments=arguments, ranks=count):
                found, out, errors = ingot(count, *arguments)
                self.assertEqual(found, code, errors)
                self.assertEqual(len(errors), 1, errors)
                self.assertRegex(errors[0], r"^(error: |\[rank 0 \S+\] ERROR: )")
                self.assertRegex(errors[0], pattern)
                self.assertNotIn("ERROR", out)

    def train(self, code, pattern, *overrides, config="job.yaml", ranks=(2,)):
        self.expect(code, pattern, "train", config, "run.name=none", *overrides, ranks=ranks)
        self.assertFalse(os.path.exists("runs/none/metrics.jsonl"), "training had begun")

    def config(self, text):
        return write("wrong.yaml", text)

    def test_a_job_without_mistakes_trains(self):
        for ranks in (0, 2):
            code, out, errors = ingot(ranks, "train", "job.yaml", f"run.name=right-{ranks}")
            self.assertEqual((code, errors), (0, []))
            self.assertIn("step 2/2", out)

    def test_misspelt_key(self):
        self.train(CONFIGURATION, r"wrong\.yaml:4:3: unknown key 'widht'.*did you mean 'width'",
                   config=self.config(CONFIG.replace("layers:", "widht:")), ranks=(0, 2))

    def test_misspelt_key_on_the_command_line(self):
        self.train(CONFIGURATION, "unknown key 'modle'; did you mean 'model'", "modle.width=8")

    def test_wrong_type(self):
        self.train(CONFIGURATION, r"wrong\.yaml:5:10: model\.width: expected integer.*'wide'",
                   config=self.config(CONFIG.replace("width: 16", "width: wide")))

    def test_duplicate_key(self):
        self.train(CONFIGURATION, r"wrong\.yaml:13:1: duplicate key 'train'",
                   config=self.config(CONFIG + "train:\n  steps: 3\n"))

    def test_configuration_that_is_missing(self):
        self.train(CONFIGURATION, r"nowhere\.yaml", config="nowhere.yaml")

    def test_custom_activation(self):
        self.train(CONFIGURATION, "plugins", "model.activation=custom:mine")
        self.train(USAGE, "--allow-plugins", "model.activation=custom:mine", "plugins=[./no.so]")

    def test_gpu_that_is_missing(self):
        ENVIRONMENT["INGOT_CUDA_MODULE"] = os.path.abspath("no_module.so")
        try:
            self.train(ENVIRONMENT_REFUSED, r"no CUDA module \(.*no_module\.so is missing\)",
                       "device=cuda", ranks=(0, 2))
            code, out, errors = ingot(2, "train", "job.yaml", "run.name=auto", "device=auto")
            self.assertEqual((code, errors), (0, []))
            self.assertRegex(out, r"device: cpu, since .*no_module\.so")
        finally:
            del ENVIRONMENT["INGOT_CUDA_MODULE"]

    def test_data_set_that_is_missing(self):
        self.train(BAD_DATA, r"nowhere\.h5", "data.train=nowhere.h5", ranks=(0, 2))

    def test_truncated_data_set(self):
        with open("tokens.h5", "rb") as file:
            whole = file.read()
        for length in (0, 40, len(whole) // 2, len(whole) - 1):
            with open("short.h5", "wb") as file:
                file.write(whole[:length])
            self.train(BAD_DATA, r"short\.h5", "data.train=short.h5",
                       ranks=(0, 2) if length == len(whole) // 2 else (0,))

    def test_foreign_files(self):
        self.train(BAD_DATA, r"text\.txt", "data.train=text.txt")
        self.train(BAD_DATA, r"table\.h5", "data.train=table.h5")
        with h5py.File("foreign.h5", "w") as file:
            file["numbers"] = [1.0, 2.0]
        self.train(BAD_DATA, r"foreign\.h5", "data.train=foreign.h5")

    def test_foreign_checkpoint(self):
        self.expect(66, "runs/nowhere", "evaluate", "runs/nowhere")

    def test_tokens_outside_the_vocabulary(self):
        with open("tokens.h5", "rb") as source, open("outside.h5", "wb") as copy:
            copy.write(source.read())
        with h5py.File("outside.h5", "r+") as file:
            file["tokens"][7] = 60000
        self.train(BAD_DATA, r"outside\.h5.*60000", "data.train=outside.h5")
        with open("ids.bin", "wb") as file:
            file.write(b"\x01\x00\xff\xff" * 100)
        self.expect(BAD_DATA, r"ids\.bin.*65535", "data", "import", "ids.bin", "ids.h5",
                    "--format", "nanogpt", "--vocabulary", "1000", ranks=(0,))

    def test_numbers_that_are_not_finite(self):
        for cell in ("nan", "inf", "1e999"):
            write("bad.csv", f"a,label\n1,0\n{cell},1\n2,0\n3,1\n")
            self.expect(BAD_DATA, r'bad\.csv:3: .*"a"', "data", "import", "bad.csv",
                        "bad.h5", "--label", "label", "--numeric", "a", ranks=(0,))
            self.assertFalse(os.path.exists("bad.h5"))

    def test_context_longer_than_the_data(self):
        self.train(BAD_DATA, r"tokens\.h5.*4096", "model.context=4096")

    def test_batch_that_three_ranks_cannot_share(self):
        self.train(CONFIGURATION, r"2 x 3 = 6; the nearest one is 6", ranks=(3,))

    def test_commands_that_do_not_exist(self):
        self.expect(USAGE, "no such command: 'trian'; did you mean 'train'", "trian", "job.yaml")
        self.expect(USAGE, "did you mean '--seed'", "generate", "runs/right-0", "--sead", "2")
        self.expect(USAGE, "train.steps", "train", "job.yaml", "train.steps", ranks=(2,))

    def test_two_runs_in_one_directory(self):
        arguments = ("train", "job.yaml", "run.name=shared", "train.steps=100000000",
                     "checkpoint.at_end=false")
        with start(0, *arguments) as first:
            # The first line of a step says that the run holds its directory.
            for line in first.stdout:
                if line.startswith("step 1/"):
                    break
            rest = threading.Thread(target=first.stdout.read)
            rest.start()
            try:
                self.expect(CANNOT_WRITE, r"runs/shared.*another run", *arguments)
            finally:
                first.terminate()
                rest.join()
                first.wait(timeout=60)

    def small_disk(self):
        """A file system of 64 KiB; skips the test where mounting one needs other rights."""
        os.makedirs("small", exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "small"]
        if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("mounting a small file system needs root")
        self.addCleanup(subprocess.run, ["umount", "small"], check=True)

    def test_full_disk(self):
        self.small_disk()
        for ranks in (0, 2):
            # Weights and moments of this width take megabytes.
            self.expect(CANNOT_WRITE, "small/.*no room for the checkpoint", "train", "job.yaml",
                        f"run.dir=small/{ranks}", "model.width=128", ranks=(ranks,))
            saved = os.listdir(f"small/{ranks}/checkpoints")
            self.assertFalse([name for name in saved if re.fullmatch(r"step-\d+", name)])
        with open("long.txt", "w", encoding="utf-8") as file:
            file.write("A text that is far too long for this disk. " * 4000)
        self.expect(CANNOT_WRITE, "small/tokens.*[Nn]o space", "data", "import", "long.txt",
                    "small/tokens.h5", ranks=(0,))
        self.assertFalse(os.path.exists("small/tokens.h5"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
