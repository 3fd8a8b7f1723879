"""Thousands of small worlds: the same rows and events come of a source, whatever fails, and whenever.

A seed that fails is named in the error; `faults(N)` plays it again, with tests/ on the path.
"""

import math

import pytest

import world

SEEDS = 300


def faults(seed: int) -> list[str]:
    """What does not hold in the world of this seed."""
    made = world.run(seed)
    rows, events, withdrawn = made.expected()
    bars = made.tables.bars
    wrong = [f"{key} is {bars.get(key)} and not {row}" for key, row in rows.items() if bars.get(key) != row]
    wrong += [f"{key} is too much" for key in bars if key not in rows]
    wrong += [f"event {each} is missing" for each in events - made.tables.events.keys()]
    wrong += [f"event {each} is too much" for each in made.tables.events.keys() - events]
    wrong += [f"withdrawal of {each} is missing" for each in withdrawn - made.tables.withdrawn]
    for key, (open_, high, low, close, volume, trades, revision) in made.folded().items():
        row = rows[key]
        folded = {"open": open_, "high": high, "low": low, "close": close, "volume": volume, "trades": trades}
        wrong += [f"{key} {name}: {row[name]}, folded {value}" for name, value in folded.items() if row[name] != value]
        if row["revision"] != revision:
            wrong.append(f"{key} revision: {row['revision']}, folded {revision}")
    return wrong


@pytest.mark.parametrize("part", range(4))
def test_whatever_fails_and_whenever_the_tables_end_as_if_nothing_had(part: int) -> None:
    for seed in range(part, SEEDS, 4):
        wrong = faults(seed)
        assert not wrong, f"seed {seed}: {wrong[:5]}"


def test_the_worlds_are_worth_it() -> None:
    """Processes die, answers are lost, bars are revised and events withdrawn in most of them."""
    worlds = [world.run(seed) for seed in range(40)]
    assert sum(made.crashes > 0 for made in worlds) > 25
    assert sum(made.unknown > 0 for made in worlds) > 15
    assert sum(any(row["revision"] for row in made.tables.bars.values()) for made in worlds) > 15
    assert sum(bool(made.tables.withdrawn) for made in worlds) > 5
    assert all(len(made.tables.events) > 0 for made in worlds)
    assert all(not math.isnan(row["vwap"]) for made in worlds for row in made.tables.bars.values())


def test_a_seed_is_the_same_world_again() -> None:
    first, second = world.run(11), world.run(11)
    assert (first.tables, first.crashes, first.unknown) == (second.tables, second.crashes, second.unknown)
