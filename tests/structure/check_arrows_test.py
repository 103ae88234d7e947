#!/usr/bin/env python3
"""Plants each kind of violation in a small tree and expects check_arrows.py to name it."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_arrows  # noqa: E402


class CheckArrows(unittest.TestCase):
    def violations(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return check_arrows.check(root)[0]

    def assert_found(self, expected, files):
        found = self.violations(files)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def test_accepts_arrows_that_point_down(self):
        self.assertEqual([], self.violations({
            "launcher/a.cpp": '#include "runtime/train/b.hpp"\n#include "ops/op.hpp"\n',
            "runtime/train/b.hpp": '#include "runtime/config/c.hpp"\n',
            "collectives/mpi/d.cpp": '#include "ops/tensor.hpp"\n#include "ops/device/e.hpp"\n',
            "ops/linear/f.cpp": '#include "ops/op.hpp"\n#include "ops/linear/g.hpp"\n',
            "ops/linear/g_simd.cpp": '#include "ops/linear/g_simd.cpp"\n'}))

    def test_finds_an_upward_arrow(self):
        self.assert_found("ops lies below runtime",
                          {"ops/a.cpp": '\n#include "runtime/config/config.hpp"\n'})

    def test_finds_collectives_that_use_ops(self):
        self.assert_found("collectives use only", {"collectives/a.cpp": '#include "ops/op.hpp"\n'})

    def test_finds_an_op_that_uses_another(self):
        self.assert_found("an op uses no other op",
                          {"ops/rope/a.cpp": '#include "ops/linear/b.hpp"\n'})

    def test_finds_base_that_uses_the_contract(self):
        self.assert_found("ops/base uses nothing",
                          {"ops/base/a.hpp": '#include "ops/tensor.hpp"\n'})

    def test_finds_a_wrong_order_inside_runtime(self):
        self.assert_found("runtime/config stands before runtime/train",
                          {"runtime/config/a.cpp": '#include "runtime/train/b.hpp"\n'})

    def test_finds_a_folder_without_a_place(self):
        self.assert_found("no place", {"runtime/odd/a.cpp": '#include "runtime/config/b.hpp"\n'})

    def test_finds_a_cycle_of_headers(self):
        self.assert_found("include each other", {"ops/op.hpp": '#include "ops/tensor.hpp"\n',
                                                 "ops/tensor.hpp": '#include "ops/op.hpp"\n'})

    def test_finds_long_files_and_lines(self):
        self.assert_found("split it", {"ops/a.cpp": "\n" * 601})
        self.assert_found("101 columns", {"ops/a.cpp": "// " + "x" * 98 + "\n"})


if __name__ == "__main__":
    unittest.main()
