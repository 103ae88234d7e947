#!/usr/bin/env python3
"""Compares a run's losses with those recorded for it in quickstart.json.

    check_quickstart.py RUN_DIR                  a run of examples/quickstart.sh on its own text
    check_quickstart.py --case short RUN_DIR     a run of short_quickstart.py
    check_quickstart.py --record [--case NAME] RUN_DIR   makes RUN_DIR the recorded run

Every evaluation that was recorded is compared with the run's of the same step, so that a run which
its wall time ended early is still checked as far as it went. Ends with 0 if all agree, 1 if one
does not, 64 if there is nothing to compare. Needs nothing but Python.
"""

import argparse
import json
import pathlib
import sys

GOLDEN = pathlib.Path(__file__).with_name("quickstart.json")


class NothingToCompare(Exception):
    pass


def read_metrics(run):
    """({step: training loss}, {step: validation loss}) of a run directory."""
    path = run / "metrics.jsonl"
    losses, evaluations = {}, {}
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise NothingToCompare(f"{error}; give a run directory of `ingot train`") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise NothingToCompare(f"{path}:{number}: not JSON: {error}") from error
        if "loss" in row:
            losses[row["step"]] = row["loss"]
        if "validation_loss" in row:
            evaluations[row["step"]] = row["validation_loss"]
    return losses, evaluations


def compare(golden, losses, evaluations):
    """Lines that tell each comparison, and whether all of them agree."""
    rows = [("training", entry["step"], entry["loss"], losses) for entry in golden["losses"]]
    rows += [("validation", entry["step"], entry["validation_loss"], evaluations)
             for entry in golden["evaluations"]]
    rows.append(("validation", golden["steps"], golden["validation_loss"], evaluations))
    lines, good = [], True
    for kind, step, expected, found in rows:
        if step not in found:
            continue
        # While the learning rate is high, runs that round differently lie farther apart.
        last = step == golden["steps"]
        tolerance = golden["tolerance"] if last else golden["early_tolerance"]
        # Written so that a loss that is no number fails.
        near = abs(found[step] - expected) <= tolerance
        good = good and near
        lines.append(f"step {step:5d}: {kind} loss {found[step]:.4f}, recorded {expected:.4f} "
                     f"+- {tolerance}: {'agrees' if near else 'DIFFERS'}")
    if not lines:
        last = max(losses, default=0)
        raise NothingToCompare(f"the run ended at step {last}, before the first step that is "
                               f"recorded ({min(row[1] for row in rows)})")
    if golden["steps"] not in evaluations:
        lines.append(f"the run ended at step {max(losses)} of {golden['steps']}; what it has was "
                     "compared")
    return lines, good


def record(golden, losses, evaluations):
    """Replaces a case's numbers, keeping its tolerances and which training losses it compares."""
    golden["steps"] = max(evaluations)
    golden["validation_loss"] = round(evaluations.pop(golden["steps"]), 4)
    golden["evaluations"] = [{"step": step, "validation_loss": round(loss, 4)}
                             for step, loss in sorted(evaluations.items())]
    golden["losses"] = [{"step": entry["step"], "loss": round(losses[entry["step"]], 4)}
                        for entry in golden["losses"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=pathlib.Path, metavar="RUN_DIR")
    parser.add_argument("--case", choices=["full", "short"], default="full")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    cases = json.loads(GOLDEN.read_text())
    try:
        losses, evaluations = read_metrics(arguments.run)
        if arguments.record:
            record(cases[arguments.case], losses, evaluations)
            GOLDEN.write_text(json.dumps(cases, indent=2) + "\n")
            return 0
        lines, good = compare(cases[arguments.case], losses, evaluations)
    except NothingToCompare as error:
        print(f"check_quickstart.py: {error}", file=sys.stderr)
        return 64
    print("\n".join(lines))
    if not good:
        print("The loss is not what tests/golden/quickstart.json has recorded for this "
              "configuration and text.", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
