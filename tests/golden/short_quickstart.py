#!/usr/bin/env python3
"""The quickstart in a few seconds: the same configuration, 60 steps on data/genesis.txt, 2 ranks.

    short_quickstart.py INGOT FOLDER MPIRUN...

Imports the text, trains under `MPIRUN... -np 2` and compares the losses with quickstart.json's case
`short`. Everything is written below FOLDER, whose former content of the same name is replaced.
"""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STEPS = 60


def main():
    if len(sys.argv) < 4:
        print(__doc__.strip(), file=sys.stderr)
        return 64
    ingot, folder, mpirun = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # mpirun refuses root unless told twice. A container's only user is often root.
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def run(*command):
        subprocess.run([str(part) for part in command], check=True, env=environment)

    data = folder / "genesis.h5"
    run(ingot, "data", "import", HERE / "data/genesis.txt", data)
    run(*mpirun, "-np", 2, ingot, "train", ROOT / "configs/gpt-text.yaml", f"data.train={data}",
        f"run.dir={folder / 'run'}", f"train.steps={STEPS}", "evaluate.every=20",
        "evaluate.batches=4", "checkpoint.every=0", "checkpoint.at_end=false")
    return subprocess.run([sys.executable, HERE / "check_quickstart.py", "--case", "short",
                           folder / "run"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
