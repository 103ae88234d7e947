#!/usr/bin/env python3
"""Checks what a detector reports: check.py SOURCE PLANTED CORRECT

PLANTED, the program with the bug, must end with a status other than 0 and report what the source
says in lines "// expect: REGEX"; {BUG} in them is the line that holds "// BUG", {FILE} the source's
name. Reports are the lines on stderr that begin with "gpusim: ", but not its notes. CORRECT, the
same source compiled with -DCORRECT, must print "ok", exit with 0 and report nothing.
"""

import pathlib
import re
import subprocess
import sys

TIMEOUT_SECONDS = 100


def expectations(source):
    lines = source.read_text().splitlines()
    bugs = [number for number, line in enumerate(lines, 1) if "// BUG" in line]
    expected = [line.split("expect: ", 1)[1] for line in lines if line.startswith("// expect: ")]
    if not expected:
        sys.exit(f"{source}: has no line '// expect: REGEX'")
    places = {"{BUG}": "(" + "|".join(map(str, bugs)) + ")", "{FILE}": re.escape(source.name)}
    for name, value in places.items():
        expected = [text.replace(name, value) for text in expected]
    return expected


def run(program):
    result = subprocess.run([program], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    reports = [line for line in result.stderr.splitlines() if re.match("gpusim: (?!note: )", line)]
    return result, reports


def main():
    source, planted, correct = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    failures = []
    result, reports = run(planted)
    if result.returncode == 0:
        failures.append("the planted bug ended with status 0")
    for pattern in expectations(source):
        if not any(re.search(pattern, line) for line in reports):
            failures.append(f"no report matches: {pattern}")
    if failures:
        print(f"{planted.name} ended with {result.returncode} and wrote:\n{result.stderr}")
    result, reports = run(correct)
    if result.returncode != 0 or reports or not result.stdout.endswith("ok\n"):
        failures.append("the corrected program does not stay silent and succeed")
        print(f"{correct.name} ended with {result.returncode} and wrote:\n{result.stdout}"
              f"{result.stderr}")
    for failure in failures:
        print(f"{source.name}: {failure}")
    sys.exit(1 if failures else 0)


main()
