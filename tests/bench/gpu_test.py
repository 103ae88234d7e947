#!/usr/bin/env python3
"""gpu.sh as it runs where a GPU is, on a tiny model: every line that it prints, on one GPU and on
two, without PyTorch and beside something that answers in its place, and its arithmetic. Nothing
timed is asserted. Run by tests/on_gpu.sh on simulated GPUs or real ones.

    gpu_test.py INGOT KIND [unittest arguments]      KIND: gpu or gpusim
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

INGOT, KIND = sys.argv[1:3]
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpu.sh")
NUMBER = r"([\d.]+(?:e[-+]\d+)?)"
TINY = {"layers": 2, "width": 128, "context": 32, "vocabulary": 257}
# Stands for a Python with PyTorch: it can import torch, writes down what it was asked for, and
# times a step of any model as half a second.
TORCH = """#!/bin/bash
[[ $1 == -c ]] && exit 0
echo "$*" >ASKED
echo "a line that is not the result"
echo '{"engine": "torch", "step_ms": 500.0, "tokens_per_second": 256.0}'
"""


def run(*arguments, **environment):
    done = subprocess.run([SCRIPT, "--shape", "tiny", "--steps", "5", "--rounds", "1", *arguments],
                          env={**os.environ, "INGOT_BINARY": INGOT, **environment}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)
    return done.returncode, done.stdout


def flops_per_token(layers, width, context, vocabulary):
    """By the shapes of the products, not by gpu.sh's formula: attention's scores and values over
    the whole context, 3 times for the two gradients; norms and biases count as they do there."""
    layer = 4 * width * width + 2 * 4 * width * width  # attention's four, the two of the MLP
    small = 9 * width + 4 * width                      # biases of a layer, its two norms
    parameters = layers * (layer + small) + 2 * width + vocabulary * width
    return 6 * parameters + layers * 3 * 2 * 2 * width * context


class Gpu(unittest.TestCase):
    def numbers(self, pattern, out):
        found = re.search(pattern, out)
        self.assertIsNotNone(found, f"no {pattern!r} in\n{out}")
        return [float(text) for text in found.groups()]

    def expect_share(self, found, expected):
        self.assertLess(abs(found / expected - 1), 1e-3, f"{found}, not {expected}")

    def test_alone_on_one_gpu(self):
        code, out = run("--precision", "f32", "--peak", "67", TORCH_PYTHON="/nowhere/python")
        self.assertEqual(code, 0, out)
        [peak] = self.numbers(rf"f32 matrix peak {NUMBER} TFLOP/s, copy", out)
        self.assertIn("without PyTorch: /nowhere/python cannot import torch", out)
        milliseconds, rate = self.numbers(
            rf"tiny f32, 1 GPU\(s\), batch 2 x 32 each: {NUMBER} ms per step, {NUMBER} tokens/s",
            out)
        self.expect_share(rate, 2 * 32 / milliseconds * 1e3)
        of_measured, of_sheet = self.numbers(
            rf"ingot: MFU {NUMBER} of the measured peak and {NUMBER} of 67 TFLOP/s", out)
        self.expect_share(of_measured, rate * flops_per_token(**TINY) / (peak * 1e12))
        self.expect_share(of_sheet, rate * flops_per_token(**TINY) / 67e12)
        self.assertNotIn("torch: MFU", out)

    def test_two_gpus_beside_pytorch(self):
        with tempfile.TemporaryDirectory() as folder:
            torch, asked = os.path.join(folder, "python"), os.path.join(folder, "asked")
            with open(torch, "w", encoding="utf-8") as file:
                file.write(TORCH.replace("ASKED", f"'{asked}'"))
            os.chmod(torch, 0o755)
            code, out = run("--gpus", "2", "--batch", "4", "--context", "64", "--compile",
                            TORCH_PYTHON=torch)
            self.assertEqual(code, 0, out)
            with open(asked, encoding="utf-8") as file:
                options = file.read().split()
        self.assertRegex(options[0], r"torch_gpt_gpu\.py$")
        self.assertEqual(" ".join(options[1:]),
                         "--ranks 2 --layers 2 --width 128 --heads 2 --context 64 --batch 4 "
                         "--vocabulary 257 --steps 5 --dtype bf16 --compile")
        [peak] = self.numbers(rf"bf16 matrix peak {NUMBER} TFLOP/s, copy", out)
        milliseconds, rate = self.numbers(
            rf"tiny bf16, 2 GPU\(s\), batch 4 x 64 each: {NUMBER} ms per step, {NUMBER} tokens/s",
            out)
        self.expect_share(rate, 2 * 4 * 64 / milliseconds * 1e3)
        per_token = flops_per_token(**{**TINY, "context": 64})
        for name, tokens in (("ingot", rate), ("torch", 256)):
            [share] = self.numbers(rf"\n{name}: MFU {NUMBER} of the measured peak\n", out)
            self.expect_share(share, tokens / 2 * per_token / (peak * 1e12))
        [ours, theirs, ratio] = self.numbers(
            rf"tokens/s of ingot / torch: {NUMBER} / {NUMBER} = {NUMBER} ", out)
        self.assertEqual((ours, theirs), (rate, 256))
        self.assertAlmostEqual(ratio, ours / theirs, delta=1e-3)

    @unittest.skipUnless(KIND == "gpusim", "a machine without a GPU is made up by gpusim")
    def test_says_what_it_lacks(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as machine:
            machine.write("name: none\ndevices: []\n")
            machine.flush()
            code, out = run(GPUSIM_MACHINE=machine.name)
        self.assertEqual(code, 72, out)
        self.assertIn("there is no GPU to measure here", out)
        for wrong in (("--gpus", "0"), ("--peak", "fast"), ("--batch", "x"), ("--steps", "4")):
            self.assertEqual(run(*wrong)[0], 64, wrong)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
