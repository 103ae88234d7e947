#!/usr/bin/env python3
"""Tables of collectives.sh.

    collectives.py rows BENCH.json    "BYTES MICROSECONDS HOST_MICROSECONDS" of ingot's own bench
    collectives.py table FOLDER       medians of the files ours, mpi, gloo and copy in it, compared
"""

import collections
import json
import os
import statistics
import sys


def read(folder, name):
    """bytes -> medians of the columns, over the rounds in a file."""
    path = os.path.join(folder, name)
    rows = collections.defaultdict(list)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                size, *columns = line.split()
                rows[int(size)].append([float(column) for column in columns])
    return {size: [statistics.median(column) for column in zip(*found)]
            for size, found in rows.items()}


def cell(value, width, digits=2):
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def table(folder):
    ours, mpi, gloo, copy = (read(folder, name) for name in ("ours", "mpi", "gloo", "copy"))
    titles = (("bytes", 10), ("ingot", 11), ("Open MPI", 11), ("Gloo", 11), ("x MPI", 7),
              ("x Gloo", 7), ("copy bound", 11), ("ingot/bound", 11), ("host adds", 10))
    print(*(f"{title:>{width}}" for title, width in titles))
    for size, (mine, host) in sorted(ours.items()):
        other, third, bound = (rows.get(size, [None])[0] for rows in (mpi, gloo, copy))
        print(f"{size:10d} {mine:11.2f} {cell(other, 11)} {cell(third, 11)} "
              f"{cell(other and other / mine, 7)} {cell(third and third / mine, 7)} "
              f"{cell(bound, 11)} {cell(bound and mine / bound, 11)} {host - mine:10.2f}")
    print("x: their time over ingot's. copy bound: each rank copies as many bytes at the same\n"
          "time: an all_reduce of S bytes on n ranks reads every rank's S and writes it, 2 n S\n"
          "in all, which is what those copies do too. host adds: from the call on an idle\n"
          "stream to the return of synchronize(), less the call itself.")


def main():
    if sys.argv[1:2] == ["rows"] and len(sys.argv) == 3:
        with open(sys.argv[2], encoding="utf-8") as file:
            report = json.load(file)
        for row in report["rows"]:
            if row["errors"]:
                sys.exit(f"collectives.py: {row['errors']} wrong elements at {row['size']} bytes")
            print(row["size"], row["seconds"] * 1e6, row["host_seconds"] * 1e6)
    elif sys.argv[1:2] == ["table"] and len(sys.argv) == 3:
        table(sys.argv[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
