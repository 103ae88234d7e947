#!/usr/bin/env python3
"""Reads every #include below the source folders and fails on an arrow that points up or sideways.

    launcher -> runtime -> collectives -> ops    (collectives: ops/base, ops/device, ops/tensor.hpp)

Inside ops, base uses nothing, device uses base, the files directly in ops/ use both, and an op's
folder uses these but no other op. The folders of runtime stand in the order of RUNTIME_ORDER; a
file uses its own folder and earlier ones. Also checked: no #include cycle between headers, at most
600 lines in a file and 100 columns in a line.

    check_arrows.py [ROOT]      prints one line per violation, ends with 1 if there is any
"""

import pathlib
import re
import sys

FLOORS = ["ops", "collectives", "runtime", "launcher"]
RUNTIME_ORDER = ["data", "config", "program", "model", "execute", "checkpoint", "metrics",
                 "generate", "train"]
SOURCES = {".cpp", ".hpp", ".cu", ".cuh"}
STYLED = SOURCES | {".py", ".sh", ".cmake"}
MAX_LINES, MAX_COLUMNS = 600, 100
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def ops_part(path):
    """base, device, contract (files directly in ops/) or the name of an op's folder."""
    parts = path.split("/")
    return "contract" if len(parts) == 2 else parts[1]


def refusal(source, target):
    """Why `source` may not include `target`, both relative to the root; None where it may."""
    from_floor, to_floor = source.split("/")[0], target.split("/")[0]
    if FLOORS.index(to_floor) > FLOORS.index(from_floor):
        return f"{from_floor} lies below {to_floor}"
    if from_floor == to_floor == "ops":
        here, there = ops_part(source), ops_part(target)
        if here == there or there == "base":
            return None
        if here == "base":
            return "ops/base uses nothing of ours"
        if there == "device":
            return None
        if here == "device":
            return "ops/device uses ops/base only" if target != "ops/tensor.hpp" else None
        if here != "contract" and there == "contract":
            return None
        return "an op uses no other op" if here != "contract" else "the contract knows no single op"
    if from_floor == "collectives" and to_floor == "ops":
        if ops_part(target) in ("base", "device") or target == "ops/tensor.hpp":
            return None
        return "collectives use only ops/base, ops/device and ops/tensor.hpp"
    if from_floor == to_floor == "runtime":
        here, there = source.split("/")[1], target.split("/")[1]
        for folder in (here, there):
            if folder not in RUNTIME_ORDER:
                return f"runtime/{folder} has no place in RUNTIME_ORDER of this check"
        if RUNTIME_ORDER.index(there) > RUNTIME_ORDER.index(here):
            return f"runtime/{here} stands before runtime/{there}"
    return None


def find_cycle(includes):
    """Files that include each other in a ring, or None. Depth first, without recursion."""
    state = {}
    for start in includes:
        stack = [(start, iter(includes[start]))] if start not in state else []
        state.setdefault(start, "open")
        while stack:
            path, targets = stack[-1]
            following = next(targets, None)
            if following is None:
                state[path] = "done"
                stack.pop()
            elif state.get(following) == "open":
                ring = [path for path, _ in stack]
                return ring[ring.index(following):] + [following]
            elif following in includes and following not in state:
                state[following] = "open"
                stack.append((following, iter(includes[following])))
    return None


def check(root):
    violations, includes = [], {}
    for floor in FLOORS:
        for path in sorted((root / floor).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            source = path.relative_to(root).as_posix()
            includes[source] = []
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                target = found.group(1)
                if target.split("/")[0] not in FLOORS:
                    if (path.parent / target).exists():
                        violations.append(f"{source}:{number}: includes \"{target}\"; write the "
                                          "path from the repository's root")
                    continue
                # Highway includes a file into itself, once per instruction set.
                if target != source:
                    includes[source].append(target)
                why = refusal(source, target)
                if why:
                    violations.append(f"{source}:{number}: includes {target}, but {why}")
    cycle = find_cycle(includes)
    if cycle:
        violations.append("headers include each other: " + " -> ".join(cycle))

    for folder in FLOORS + ["tests", "examples"]:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in STYLED:
                continue
            name, lines = path.relative_to(root).as_posix(), path.read_text().splitlines()
            if len(lines) > MAX_LINES:
                violations.append(f"{name}: {len(lines)} lines; split it, {MAX_LINES} is the limit")
            violations += [f"{name}:{number}: {len(line)} columns, {MAX_COLUMNS} is the limit"
                           for number, line in enumerate(lines, 1) if len(line) > MAX_COLUMNS]
    return violations, len(includes)


def main():
    default = pathlib.Path(__file__).resolve().parents[2]
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    violations, files = check(root)
    if not files:
        violations = [f"{root} holds none of the folders {', '.join(FLOORS)}"]
    print("\n".join(violations) if violations else f"{files} files, every arrow points down")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
