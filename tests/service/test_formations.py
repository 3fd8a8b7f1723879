"""`GET /forming`: which rows, in which order, and what is said to a question that is none."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pytest

import tickstockpl as tp
from oracle_charts import CHARTS
from pattern_play import columns, settings
from swing_walk import swings
from tickstockpl.aliases import Names
from tickstockpl.formations import FRESH_S, Formations
from tickstockpl.kernel import columns_of_bars
from tickstockpl.switches import Switches


@dataclass
class Still:
    """A clock that stands."""

    s: float = 0.0

    def now_us(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return self.s


@dataclass
class Site:
    """What is asked of an engine with many symbols."""

    clock: Still = field(default_factory=Still)
    switches: Switches = field(default_factory=Switches)
    engine: tp.Engine = field(default_factory=lambda: tp.Engine(settings(CHARTS, timeframes=("1min", "5min"))))

    def __post_init__(self) -> None:
        self.formations = Formations(self.clock, lambda: self.switches, Names().ids_of)
        series = {f"ZZ{seed}": list(swings(seed, 700, units=10_000, step=0.01)) for seed in range(20, 80)}
        self.engine.replay(columns_of_bars(columns(series)))
        self.formations.ready(self.engine)

    def ask(self, **query: str) -> tuple[int, Any]:
        answer = self.formations.answers()["/forming"](query)
        return answer.status, orjson.loads(answer.body)

    def rows(self, **query: str) -> list[dict[str, Any]]:
        status, said = self.ask(**{"limit": "1000", **query})
        assert status == 200
        assert said["count"] == len(said["forming"])
        rows: list[dict[str, Any]] = said["forming"]
        return rows


@pytest.fixture(scope="module")
def site() -> Site:
    return Site()


def test_every_row_is_the_engines_nearest_to_its_trigger_first(site: Site) -> None:
    now, said = site.engine.forming(), site.rows()
    assert len(now) == len(said) > 20
    assert b"-0.0," not in site.formations.answer({"limit": "1000"}).body
    assert np.signbit(now.slope[now.slope == 0]).any()
    away = np.sort(np.abs(now.trigger - now.close) / now.atr)
    assert [row["away_atr"] for row in said] == pytest.approx(away.tolist(), rel=1e-11)
    at = int(np.argmin(np.abs(now.trigger - now.close) / now.atr))
    first = said[0]
    assert (first["symbol"], first["pattern_id"]) == (now.symbols[now.symbol[at]], now.patterns[now.pattern[at]]["id"])
    assert first["direction"] == {1: "bullish", -1: "bearish"}[int(now.direction[at])]
    assert first["timeframe"] == tp.TIMEFRAMES[now.timeframe[at]]
    assert (first["bar_start"], first["bar_end"]) == (now.ts_us[at] / 1e6, now.end_us[at] / 1e6)
    assert first["trigger"] == pytest.approx(now.trigger[at], rel=1e-11)
    assert first["levels"] == pytest.approx({"stop": now.stop[at], "target": now.target[at]}, rel=1e-11)
    assert (first["bars_waited"], first["bars_left"]) == (now.waited[at], now.left[at])
    points = [{"role": role, "time": ts_us / 1e6, "price": price} for role, ts_us, price in now.points(at)]
    assert first["points"] == points


def test_rows_can_be_asked_for_by_symbol_timeframe_and_pattern(site: Site) -> None:
    every = site.rows()
    assert {row["timeframe"] for row in every} == {"1min", "5min"}
    symbol, name = every[0]["symbol"], every[0]["pattern"]
    for query, matches in (
        ({"symbol": symbol}, lambda row: row["symbol"] == symbol),
        ({"symbol": f"ZZNONE,{symbol}"}, lambda row: row["symbol"] == symbol),
        ({"symbol": "ZZNONE"}, lambda _: False),
        ({"symbol": "", "pattern": ",,"}, lambda _: True),
        ({"timeframe": "5min,daily"}, lambda row: row["timeframe"] == "5min"),
        ({"pattern": "double_top,double_bottom"}, lambda row: row["pattern_id"] in {"double_top", "double_bottom"}),
        ({"pattern": "double_*"}, lambda row: row["pattern_id"] in {"double_top", "double_bottom"}),
        ({"pattern": name, "symbol": symbol}, lambda row: (row["pattern"], row["symbol"]) == (name, symbol)),
    ):
        assert site.rows(**query) == list(filter(matches, every))


def test_there_are_at_most_as_many_as_asked_for_and_the_count_says_how_many_there_would_be(site: Site) -> None:
    every = site.rows()
    assert site.ask(limit="3") == (200, {"count": len(every), "forming": every[:3]})
    assert len(site.ask()[1]["forming"]) == min(100, len(every))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": "0"}, "limit must be a number from 1 to 1,000, was '0'"),
        ({"limit": "1001"}, "limit must be a number from 1 to 1,000, was '1001'"),
        ({"limit": "-1"}, "was '-1'"),
        ({"limit": "²"}, "was '²'"),
        ({"limit": "9" * 5_000}, "was '9999999999999999999999999999999999999999'"),
        ({"timeframe": "2min"}, "there is no timeframe '2min': there are 1min, 5min"),
        ({"pattern": "trianglish"}, "there is no pattern 'trianglish': `tickstockpl patterns` prints them all"),
        ({"symbol": ",".join(map(str, range(201)))}, "symbol takes at most 200 at once, were 201"),
        ({"pattern": "\udcff"}, r"there is no pattern '\udcff'"),
        ({"symbols": "AAPL"}, "there is no 'symbols': ask for symbol, timeframe, pattern or limit"),
    ],
)
def test_a_question_that_is_none_is_told_why(site: Site, query: dict[str, str], words: str) -> None:
    status, said = site.ask(**query)
    assert status == 400
    assert words in said["error"]


def test_a_pattern_that_is_switched_off_is_not_shown(site: Site) -> None:
    every = site.rows()
    off = every[0]["pattern_id"]
    site.switches = Switches(off=frozenset({off}))
    site.clock.s += FRESH_S
    assert site.rows() == [row for row in every if row["pattern_id"] != off]
    site.switches = Switches()
    site.clock.s += FRESH_S


def test_an_answer_is_at_most_a_second_old(site: Site) -> None:
    before = site.rows(symbol="ZZNEW")
    series = {"ZZNEW": next(bars for bars in grown() if len(tp.forming(columns({"A": bars}), CHARTS)))}
    site.engine.replay(columns_of_bars(columns(series)))
    site.clock.s += FRESH_S / 2
    assert site.rows(symbol="ZZNEW") == before == []
    site.clock.s += FRESH_S / 2
    assert site.rows(symbol="ZZNEW")


def grown() -> Any:
    """Bars that come to more and more."""
    bars = list(swings(1, 700, units=10_000, step=0.01))
    return (bars[:count] for count in range(100, 700, 5))


def test_before_there_is_an_engine_it_says_that_the_service_starts() -> None:
    answer = Formations(Still(), Switches, Names().ids_of).answer({})
    assert (answer.status, orjson.loads(answer.body)) == (503, {"error": "the service is starting"})
