#!/usr/bin/env python3
"""Medians of a run's metrics.jsonl, for the scripts beside it.

    rows.py median FIELD METRICS.jsonl [SKIP]     median of FIELD after the first SKIP rows (4)
    rows.py phases METRICS.jsonl [SKIP]           where a step's time goes, as a table
    rows.py ratio NAME A1,A2,... B1,B2,...        medians of both and A over B, with the spread
    rows.py middle V1,V2,...                      median of values
"""

import json
import statistics
import sys

PHASES = ["step_ms", "data_ms", "communication_ms"]


def values(path, field, skip):
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    # Rows of evaluations carry a loss and no times.
    found = [float(row[field]) for row in rows if row.get(field) is not None and "step_ms" in row]
    if len(found) <= skip:
        sys.exit(f"rows.py: {path} has {len(found)} rows with \"{field}\"; "
                 f"more than {skip} are needed")
    return found[skip:]


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["median"] and len(arguments) in (3, 4):
        skip = int(arguments[3]) if len(arguments) == 4 else 4
        print(f"{statistics.median(values(arguments[2], arguments[1], skip)):.6g}")
    elif arguments[:1] == ["phases"] and len(arguments) in (2, 3):
        skip = int(arguments[2]) if len(arguments) == 3 else 4
        step = statistics.median(values(arguments[1], "step_ms", skip))
        for phase in PHASES:
            median = statistics.median(values(arguments[1], phase, skip))
            print(f"    {phase:<18} {median:9.2f}  {100 * median / step:5.1f} %")
    elif arguments[:1] == ["ratio"] and len(arguments) == 4:
        a, b = ([float(value) for value in text.split(",")] for text in arguments[2:])
        ratios = sorted(x / y for x, y in zip(a, b))
        print(f"{arguments[1]}: {statistics.median(a):.6g} / {statistics.median(b):.6g} = "
              f"{statistics.median(a) / statistics.median(b):.3f} "
              f"(pairs {ratios[0]:.3f} .. {ratios[-1]:.3f})")
    elif arguments[:1] == ["middle"] and len(arguments) == 2:
        print(f"{statistics.median(float(value) for value in arguments[1].split(',')):.6g}")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
