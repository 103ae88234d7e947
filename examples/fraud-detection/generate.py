#!/usr/bin/env python3
"""Card transactions with rare fraud, for the example. Only Python's standard library; the same seed
gives the same bytes. README.md describes the world that is simulated.

    generate.py OUT.csv [--rows N] [--seed S] [--cards N] [--merchants N] [--fraud RATE]
"""

import argparse
import csv
import math
import random
import sys

CATEGORIES = ["grocery", "fuel", "restaurant", "travel", "electronics", "clothing", "pharmacy",
              "online", "jewellery", "cash"]
# Of each category: how often honest cards pay there, median amount, spread of its logarithm, and
# how attractive it is to the two kinds of thieves.
FREQUENCY = [30, 12, 18, 3, 5, 8, 7, 12, 1, 4]
MEDIAN = [38, 45, 27, 240, 130, 60, 22, 48, 210, 90]
SPREAD = [0.7, 0.4, 0.7, 0.9, 0.9, 0.7, 0.7, 0.9, 0.8, 0.6]
SHOP_THIEF = [6, 6, 2, 1, 14, 6, 2, 0, 6, 10]
INTERNET_THIEF = [0, 0, 1, 8, 2, 1, 0, 24, 0, 0]
COUNTRIES = ["home", "neighbour", "overseas"]
ENTRIES = ["chip", "contactless", "swipe", "typed"]
DAYS = 180
COLUMNS = ["day", "hour_sin", "hour_cos", "log_amount", "amount_ratio", "log_minutes_since_last",
           "card_count_24h", "distance_km", "merchant_risk", "category", "country", "entry",
           "fraud"]


class Card:
    """A holder with habits: usual amounts, usual hours, a preferred way to pay."""

    def __init__(self, rng):
        self.spending = math.exp(rng.gauss(0, 0.5))
        self.active_hour = rng.gauss(14, 2.5) if rng.random() < 0.85 else rng.gauss(1, 3)
        self.hurried = rng.random() < 0.2  # pays several times in a row
        self.travels = rng.random() < 0.12
        self.contactless = rng.random() * 0.8
        self.weight = math.exp(rng.gauss(0, 0.8))
        self.recent = []  # minutes of the last payments, newest last


def draw_hour(rng, centre, spread):
    return rng.gauss(centre, spread) % 24


def honest(rng, card):
    category = rng.choices(range(len(CATEGORIES)), FREQUENCY)[0]
    amount = MEDIAN[category] * card.spending * math.exp(rng.gauss(0, SPREAD[category]))
    abroad = rng.random() < (0.25 if card.travels else 0.01)
    country = rng.choices([1, 2], [3, 1])[0] if abroad else 0
    if CATEGORIES[category] in ("online", "travel"):
        entry = 3
    else:
        # Abroad terminals are older.
        swiped = rng.random() < (0.5 if country else 0.1)
        entry = 2 if swiped else (1 if rng.random() < card.contactless else 0)
    distance = rng.expovariate(1 / 20) + (rng.uniform(200, 4000) if country else 0)
    return category, amount, country, entry, distance, draw_hour(rng, card.active_hour, 3.2)


def fraudulent(rng, progress):
    """Two kinds of thieves. One pays in shops by day with a copied card, the other over the
    internet at night with a stolen number. `progress` runs from 0 to 1 over the period, and with it
    the share of the second kind grows from a quarter to two thirds: the drift."""
    internet = rng.random() < 0.25 + 0.42 * progress
    weights = INTERNET_THIEF if internet else SHOP_THIEF
    category = rng.choices(range(len(CATEGORIES)), weights)[0]
    testing = rng.random() < 0.25  # a tiny payment that tries whether the card works
    amount = (rng.uniform(0.5, 8) if testing else
              MEDIAN[category] * math.exp(rng.gauss(0.4, SPREAD[category])))
    if internet:
        country, entry = rng.choices([0, 1, 2], [6, 2, 2])[0], 3
        hour = draw_hour(rng, 2.5, 2.5)
    else:
        country = 0
        entry = rng.choices([0, 1, 2], [1, 1, 6])[0]
        hour = draw_hour(rng, 13, 3)
    distance = rng.expovariate(1 / 45) + (rng.uniform(200, 4000) if country else 0)
    return category, amount, country, entry, distance, hour


def transactions(rows, cards, merchants, rate, seed):
    """Yields rows in the order of COLUMNS, ordered by day."""
    rng = random.Random(seed)
    holders = [Card(rng) for _ in range(cards)]
    cumulative, total = [], 0.0
    for holder in holders:
        total += holder.weight
        cumulative.append(total)
    # A merchant's risk is what an acquirer would know: a noisy share of past complaints.
    risk = [rng.betavariate(1, 30) for _ in range(merchants)]
    risky = sorted(range(merchants), key=risk.__getitem__)[-max(1, merchants // 20):]
    burst = []  # cards that were stolen, with the number of payments still to come
    burst_mean = 3
    tour = None
    for row in range(rows):
        progress = row / max(1, rows - 1)
        day = progress * DAYS
        if rng.random() < rate / burst_mean:
            burst.append([rng.choices(holders, cum_weights=cumulative)[0],
                          1 + min(9, int(rng.expovariate(1 / (burst_mean - 0.5))))])
        # Payments of a stolen card come close together, mixed with everybody else's.
        stolen = bool(burst) and rng.random() < 0.03
        if stolen:
            index = rng.randrange(len(burst))
            card = burst[index][0]
            burst[index][1] -= 1
            if not burst[index][1]:
                burst.pop(index)
            category, amount, country, entry, distance, hour = fraudulent(rng, progress)
            merchant = rng.choice(risky) if rng.random() < 0.3 else rng.randrange(merchants)
        else:
            # So do those of a holder on a shopping tour.
            if tour and rng.random() < 0.2:
                card = tour
            else:
                card = rng.choices(holders, cum_weights=cumulative)[0]
                tour = card if card.hurried else tour
            category, amount, country, entry, distance, hour = honest(rng, card)
            merchant = rng.randrange(merchants)
        now = day * 1440
        card.recent = [minute for minute in card.recent if now - minute < 1440]
        since = now - card.recent[-1] if card.recent else 1440 * (1 + rng.random())
        angle = hour / 24 * 2 * math.pi
        usual = MEDIAN[category] * card.spending
        yield [f"{day:.4f}", f"{math.sin(angle):.5f}", f"{math.cos(angle):.5f}",
               f"{math.log1p(amount):.5f}", f"{math.log(amount / usual):.5f}",
               f"{math.log1p(since):.5f}", len(card.recent), f"{distance:.2f}",
               f"{risk[merchant]:.5f}", CATEGORIES[category], COUNTRIES[country], ENTRIES[entry],
               int(stolen)]
        card.recent.append(now)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", metavar="OUT.csv")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--cards", type=int, default=4_000)
    parser.add_argument("--merchants", type=int, default=800)
    parser.add_argument("--fraud", type=float, default=0.007, help="share of fraudulent payments")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    if a.rows < 10 or a.cards < 1 or a.merchants < 1 or not 0 < a.fraud < 0.2:
        parser.error("wants --rows >= 10, --cards and --merchants >= 1, 0 < --fraud < 0.2")
    fraud = 0
    with open(a.out, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for values in transactions(a.rows, a.cards, a.merchants, a.fraud, a.seed):
            writer.writerow(values)
            fraud += values[-1]
    print(f"{a.out}: {a.rows} payments, {fraud} fraudulent ({100 * fraud / a.rows:.2f} %)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
