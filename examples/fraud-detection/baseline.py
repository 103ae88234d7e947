#!/usr/bin/env python3
"""Logistic regression on the same table: what the network has to beat. Numbers are standardised,
categories one-hot, the fit is the optimum (Newton's method with a small ridge), so that a better
network is no artefact of a badly trained baseline. Needs NumPy.

    baseline.py PAYMENTS.csv [--validation 0.2] [--against EVALUATE.txt]

The last part of the payments is scored. --against reads the network's average precision from what
`ingot evaluate` printed, compares, and ends with 1 where the network is not the better one.
"""

import argparse
import csv
import re
import sys

import numpy as np

LABEL, IGNORED = "fraud", {"day"}
CATEGORIES = {"category", "country", "entry"}
# How many alerts a day's thousand payments may raise: what a fraud department decides on.
ALERTS_PER_THOUSAND = [1, 2, 5, 10, 20, 50]


def design_matrix(rows, names, training):
    """[rows, 1 + numbers + one-hot]; means, deviations and categories of the training rows only."""
    columns = [np.ones(len(rows))]
    for index, name in enumerate(names):
        cells = [row[index] for row in rows]
        if name in CATEGORIES:
            # The first value is the reference that the constant column stands for.
            for value in sorted(set(cells[:training]))[1:]:
                columns.append(np.array([cell == value for cell in cells], float))
        elif name not in IGNORED and name != LABEL:
            values = np.array(cells, float)
            mean, deviation = values[:training].mean(), values[:training].std() or 1.0
            columns.append((values - mean) / deviation)
    return np.stack(columns, 1)


def fit(x, y, ridge=1e-3, iterations=50):
    """Newton steps, halved until the penalised likelihood grows."""
    def objective(w):
        z = x @ w
        return np.sum(np.logaddexp(0, z) - y * z) + ridge / 2 * w @ w

    weights = np.zeros(x.shape[1])
    for _ in range(iterations):
        p = 1 / (1 + np.exp(-(x @ weights)))
        gradient = x.T @ (p - y) + ridge * weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(weights))
        step, factor = np.linalg.solve(hessian, gradient), 1.0
        while objective(weights - factor * step) > objective(weights) and factor > 1e-6:
            factor /= 2
        weights -= factor * step
        if np.abs(factor * step).max() < 1e-8:
            break
    return weights


def sweep(labels, scores):
    """(threshold, alerts, frauds caught) for every distinct score, highest first: alerts are the
    payments that score at least the threshold. Equal scores cannot be told apart, so they enter
    together."""
    order = np.argsort(-scores, kind="stable")
    caught = np.cumsum(labels[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return scores[order][last], last + 1, caught[last]


def average_precision(labels, scores):
    """The precision at each threshold, weighted by the recall it adds (as scikit-learn has it)."""
    _, alerts, caught = sweep(labels, scores)
    return np.sum(np.diff(caught, prepend=0) * caught / alerts) / labels.sum()


def print_alerts(labels, scores):
    thresholds, alerts, caught = sweep(labels, scores)
    print("alerts per 1000   threshold  precision  recall")
    for budget in ALERTS_PER_THOUSAND:
        allowed = np.flatnonzero(alerts <= budget * len(labels) / 1000)
        if len(allowed):
            i = allowed[-1]
            print(f"{budget:>15} {thresholds[i]:>11.4f} {caught[i] / alerts[i]:>10.3f} "
                  f"{caught[i] / labels.sum():>7.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("payments")
    parser.add_argument("--validation", type=float, default=0.2)
    parser.add_argument("--against", metavar="EVALUATE.txt")
    a = parser.parse_args()
    with open(a.payments, newline="", encoding="ascii") as file:
        reader = csv.reader(file)
        names = next(reader)
        rows = list(reader)
    training = len(rows) - round(len(rows) * a.validation)
    x = design_matrix(rows, names, training)
    y = np.array([int(row[names.index(LABEL)]) for row in rows], float)
    if not y[:training].any() or not y[training:].any():
        sys.exit("baseline.py: one part holds no fraud at all; generate more rows")
    weights = fit(x[:training], y[:training])
    labels, scores = y[training:], 1 / (1 + np.exp(-(x[training:] @ weights)))
    own = average_precision(labels, scores)
    print(f"logistic regression: {training} rows to learn from, {len(labels)} to score, "
          f"{int(labels.sum())} of them fraud")
    print_alerts(labels, scores)
    print(f"average precision {own:.4f}; chance gives {labels.mean():.4f}")
    if a.against:
        with open(a.against, encoding="utf-8") as file:
            found = re.search(r"average precision[^0-9]*([0-9.]+)", file.read())
        if not found:
            sys.exit(f"baseline.py: {a.against} names no average precision")
        network = float(found.group(1))
        print(f"network / logistic regression: {network:.4f} / {own:.4f} = {network / own:.2f}")
        if network <= own:
            sys.exit("baseline.py: the network found less fraud than logistic regression")


if __name__ == "__main__":
    main()
