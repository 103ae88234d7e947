#!/usr/bin/env python3
"""Reads what ptxas reported of every CUDA kernel and fails where registers were spilled.

    check_spills.py FOLDER     the build folder of the CUDA module, an OBJECT.ptxas per .cu file

A spill is memory traffic that the source does not show. Prints the kernels with spills, and how
many there are in all with the most registers that one takes.
"""

import pathlib
import re
import sys

ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(\S+)'")
SPILL = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


def kernels(text):
    """(name, architecture, bytes spilled, registers) of each kernel of a report."""
    name, spilled = None, None
    for line in text.splitlines():
        if match := ENTRY.search(line):
            name, spilled = match.groups(), None
        elif (match := SPILL.search(line)) and name:
            spilled = int(match[1]) + int(match[2])
        elif (match := REGISTERS.search(line)) and name and spilled is not None:
            yield *name, spilled, int(match[1])
            name = None


def main(folder):
    objects = [path for path in pathlib.Path(folder).rglob("*.cu.o")]
    found, spills = [], []
    for path in objects:
        report = path.with_name(path.name + ".ptxas")
        if not report.exists():
            print(f"{path}: there is no report of ptxas beside it; build it again")
            return 1
        found += kernels(report.read_text(encoding="utf-8"))
    for name, architecture, spilled, registers in found:
        if spilled > 0:
            spills.append(name)
            print(f"{name} for {architecture}: {spilled} bytes spilled with {registers} registers")
    if not found:
        print(f"{folder}: no kernel was reported")
        return 1
    print(f"{len(found)} kernels, at most {max(k[3] for k in found)} registers, "
          f"{len(spills)} with spills")
    return 1 if spills else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
