"""The simulated market: messages as AppV2's, true bars that anybody can fold from them, faults that are counted."""

import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tickstockpl.dev.broken import REASONS
from tickstockpl.dev.feed import aggregate_message, message_head, message_tail, tickers
from tickstockpl.dev.market import Walk
from tickstockpl.dev.simulate import Market, Simulation, simulate, test_symbols
from tickstockpl.errors import SettingsError
from tickstockpl.moments import MINUTE_US

START_US = 1_757_600_460_000_000
KEYS = [
    "ticker", "price", "volume", "timestamp", "event_type", "source", "tick_open", "tick_high", "tick_low",
    "tick_close", "tick_volume", "tick_vwap", "bid", "ask",
]  # fmt: skip


def market(**changes: Any) -> Market:
    values = {"symbols": test_symbols(4), "start_us": START_US, "minutes": 5, "seed": 7, **changes}
    return Market(**values)


def payloads(simulation: Simulation) -> list[bytes]:
    return [payload for batch in simulation.batches() for payload in batch.payloads]


def readable(found: list[bytes]) -> list[dict[str, Any]]:
    """The ticks of all payloads that can be read, arrays opened."""
    ticks: list[dict[str, Any]] = []
    for payload in found:
        try:
            message = json.loads(payload)
        except ValueError:
            continue
        ticks += [tick for tick in (message if isinstance(message, list) else [message]) if isinstance(tick, dict)]
    return ticks


def folded(ticks: list[dict[str, Any]]) -> dict[tuple[str, int], list[float]]:
    """The A rule of the wire contract, written plainly: one tick a stamp, minute = floor((stamp - 1 µs) / 60 s)."""
    by_bar: dict[tuple[str, int], dict[int, dict[str, Any]]] = defaultdict(dict)
    for tick in ticks:
        ts_us = round(tick["timestamp"] * 1_000_000)
        by_bar[tick["ticker"], (ts_us - 1) // MINUTE_US * MINUTE_US].setdefault(ts_us, tick)
    bars = {}
    for key, seconds in by_bar.items():
        ordered = [seconds[ts_us] for ts_us in sorted(seconds)]
        bars[key] = [
            ordered[0]["tick_open"],
            max(tick["tick_high"] for tick in ordered),
            min(tick["tick_low"] for tick in ordered),
            ordered[-1]["tick_close"],
            sum(tick["tick_volume"] for tick in ordered),
        ]
    return bars


def true(simulation: Simulation) -> dict[tuple[str, int], list[float]]:
    return {(symbol, ts_us): list(values) for symbol, ts_us, *values in simulation.true_bars().rows()}


def test_the_message_is_appv2s_own_byte_for_byte() -> None:
    seen = (
        '{"ticker": "AAPL", "price": 227.43, "volume": 1523, "timestamp": 1757600460.0, "event_type": "A", '
        '"source": "polygon", "tick_open": 227.41, "tick_high": 227.45, "tick_low": 227.39, "tick_close": 227.43, '
        '"tick_volume": 1523, "tick_vwap": 227.4182, "bid": null, "ask": null}'
    )
    mid, _ = message_tail("polygon")
    made = aggregate_message(message_head("AAPL"), mid, 1757600460.0, 227.41, 227.45, 227.39, 227.43, 1523, 227.4182)
    assert made == seen


def test_every_message_is_what_json_dumps_would_write() -> None:
    for payload in payloads(Simulation(market())):
        tick = json.loads(payload)
        assert list(tick) == KEYS
        assert json.dumps(tick).encode() == payload


def test_the_same_seed_gives_the_same_bytes() -> None:
    faults = {"bursts": 0.5, "late": 0.1, "duplicate": 0.1, "broken": 0.1}
    assert payloads(Simulation(market(**faults))) == payloads(Simulation(market(**faults)))
    assert payloads(Simulation(market())) != payloads(Simulation(market(seed=8)))


def test_prices_lie_on_the_cent_grid_and_the_range_holds_them() -> None:
    for tick in readable(payloads(Simulation(market()))):
        for name in ("price", "tick_open", "tick_high", "tick_low", "tick_close"):
            assert tick[name] == round(tick[name], 2)
        assert tick["tick_low"] <= min(tick["tick_open"], tick["tick_close"], tick["tick_vwap"])
        assert tick["tick_high"] >= max(tick["tick_open"], tick["tick_close"], tick["tick_vwap"])
        assert tick["tick_volume"] >= 1


def test_true_bars_equal_a_plain_fold_of_the_messages() -> None:
    simulation = Simulation(market(minutes=30, symbols=test_symbols(10)))
    ticks = readable(payloads(simulation))
    assert folded(ticks) == true(simulation)
    assert simulation.ticks == len(ticks) == int(simulation.true_bars().trades.sum())


def test_true_vwap_is_the_volume_weighted_mean_of_the_messages() -> None:
    simulation = Simulation(market(symbols=("ONE",), minutes=1))
    ticks = readable(payloads(simulation))
    notional = sum(tick["tick_vwap"] * tick["tick_volume"] for tick in ticks)
    assert simulation.true_bars().vwap[0] == pytest.approx(notional / sum(tick["tick_volume"] for tick in ticks))


@pytest.mark.parametrize("pack", [1, 7])
def test_faults_change_the_way_of_the_ticks_and_never_the_market(pack: int) -> None:
    clean = Simulation(market(minutes=20))
    payloads(clean)
    disturbed = Simulation(market(minutes=20, late=0.1, duplicate=0.1, bursts=0.5, pack=pack))
    ticks = readable(payloads(disturbed))
    assert true(disturbed) == true(clean)
    assert folded(ticks) == true(clean)
    assert disturbed.ticks == clean.ticks
    assert len(ticks) == disturbed.ticks + disturbed.duplicates
    assert disturbed.late > 100


def test_late_ticks_come_at_most_five_seconds_late_and_all_arrive() -> None:
    simulation = Simulation(market(late=0.3))
    lags = [
        batch.due_us - round(tick["timestamp"] * 1_000_000)
        for batch in simulation.batches()
        for tick in readable(batch.payloads)
    ]
    assert len(lags) == simulation.ticks
    assert sum(lag > 0 for lag in lags) == simulation.late > 0
    assert max(lags) == 5_000_000
    assert min(lags) == 0


def test_a_burst_is_silence_and_then_everything_at_once() -> None:
    symbols = test_symbols(20)
    quiet = [batch.due_us for batch in Simulation(market(symbols=symbols)).batches()]
    assert np.diff(quiet).max() == 1_000_000
    bursts = list(Simulation(market(symbols=symbols, bursts=1.0)).batches())
    gaps = np.diff([batch.due_us for batch in bursts])
    assert 2_000_000 <= gaps.max() <= 21_000_000
    assert max(batch.ticks for batch in bursts) > 20


def test_broken_messages_come_on_top_and_are_counted_by_reason() -> None:
    simulation = Simulation(market(minutes=60, broken=0.2))
    found = payloads(simulation)
    assert set(simulation.broken) == set(REASONS)
    assert len(found) == simulation.ticks + simulation.broken.total()
    assert sum(len(payload) > 65_536 for payload in found) == simulation.broken["too_large"]
    good = [tick for tick in readable(found) if list(tick) == KEYS and _plain(tick)]
    assert folded(good) == true(simulation)


def _plain(tick: dict[str, Any]) -> bool:
    """A tick as the market made it, told by values alone."""
    numbers = [tick[name] for name in KEYS[6:10]]
    return (
        isinstance(tick["ticker"], str)
        and tick["ticker"].startswith("ZZTEST")
        and tick["event_type"] == "A"
        and all(type(number) is float and 0 < number < 1e6 for number in [*numbers, tick["price"]])
        and type(tick["tick_volume"]) is int
        and tick["tick_volume"] > 0
        and type(tick["timestamp"]) is float
        and 1_757_600_460 <= tick["timestamp"] < 1_757_700_000
    )


def test_arrays_carry_many_ticks_and_keep_spoilt_messages_out() -> None:
    simulation = Simulation(market(symbols=test_symbols(20), pack=8, broken=0.1))
    sizes = Counter(
        len(message) if isinstance(message, list) else -1
        for batch in simulation.batches()
        for message in map(_loaded, batch.payloads)
    )
    assert max(sizes) == 8
    assert sizes[8] > sizes[-1] > 0


def _loaded(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except ValueError:
        return None


def test_the_start_is_rounded_down_to_the_minute() -> None:
    simulation = Simulation(market(start_us=START_US + 12_345_678))
    payloads(simulation)
    assert simulation.true_bars().ts_us[0] == START_US


def test_drawn_shapes_are_there_to_be_found() -> None:
    walk = Walk(200, seed=3)
    hammers = 0
    for _ in range(30):
        minute = walk.minute()
        opened, close = minute.open[:, 0], minute.close[:, -1]
        high, low = minute.high.max(axis=1), minute.low.min(axis=1)
        height, lower = high - low, np.minimum(opened, close) - low
        hammers += int(((lower > 0.6 * height) & (high - np.maximum(opened, close) < 0.1 * height)).sum())
    assert hammers > 60


def test_prices_stay_positive_and_alive_for_a_whole_session() -> None:
    walk = Walk(50, seed=1)
    closes = np.array([walk.minute().close[:, -1] for _ in range(390)])
    assert closes.min() >= 100
    per_minute = np.diff(np.log(closes), axis=0).std()
    assert 0.0005 < per_minute < 0.004


def test_the_true_bars_can_be_kept_in_a_file(tmp_path: Path) -> None:
    simulation = Simulation(market())
    payloads(simulation)
    simulation.true_bars().write_csv(tmp_path / "true.csv")
    first, *rows = (tmp_path / "true.csv").read_text().splitlines()
    assert first == "symbol,ts_us,open,high,low,close,volume"
    assert len(rows) == len(simulation.true_bars()) == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"late": 1.5}, "late must be a rate from 0 to 1, was 1.5"),
        ({"broken": -0.1}, "broken must be a rate from 0 to 1, was -0.1"),
        ({"symbols": ()}, "symbols must be at least 1, was 0"),
        ({"minutes": 0}, "minutes must be at least 1, was 0"),
        ({"pack": 0}, "pack must be at least 1, was 0"),
        ({"seed": -1}, "seed must be at least 0, was -1"),
    ],
)
def test_a_market_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        market(**changes)


@pytest.mark.anyio
async def test_a_market_ahead_of_the_clock_is_refused_before_anything_is_sent() -> None:
    now_us = time.time_ns() // 1000
    with pytest.raises(SettingsError, match="ahead of the clock"):
        await simulate("redis://nowhere.invalid", "data.raw", market(start_us=now_us, minutes=60), speed=2)


def test_tickers_are_found_in_objects_arrays_and_both_spellings() -> None:
    found = [b'{"ticker": "A"}', b'[{"ticker": "B"}, 3]', b'{"symbol": "C"}', b"no json", b"7", b'{"ticker": 5}']
    assert tickers(found) == {"A", "B", "C"}
