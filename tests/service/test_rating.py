"""What events are told of measured rates: in columns what the table says of one, and nothing where it knows nothing."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from commands import Run, said_once
from event_samples import ENCODER, event, events
from rate_samples import Planted, as_of_now, evidence, table
from running import MINUTE, settings_for, tick
from tickstockpl import rate_file, service, snapshot
from tickstockpl.calibration import Calibration
from tickstockpl.events import ADDED_DTYPES, EVENT_DTYPES, RATES, Events
from tickstockpl.kernel import PATTERNS, Engine, EngineSettings
from tickstockpl.position import EVER_US, Position, Progress
from tickstockpl.rating import Rating
from tickstockpl.selection import rate_table
from tickstockpl.settings import PatternSettings
from tickstockpl.snapshot import Snapshot, Unsent

IDS = tuple(pattern["id"] for pattern in PATTERNS)
SEEN = ("hammer", "engulfing", "doji", "cdl_marubozu")


def measured(seed: int = 1) -> Calibration:
    planted = [
        Planted("hammer", 1, 900, 0.6, slope=0.2),
        Planted("engulfing", -1, 500, 0.45),
        Planted("doji", 0, 90, 0.5),
    ]
    made = table(evidence(np.random.default_rng(seed), planted), ids=("cdl_marubozu",))
    return as_of_now(made)


@pytest.fixture(scope="module")
def made() -> Calibration:
    return measured()


@pytest.fixture
def file(made: Calibration, tmp_path: Path) -> Path:
    path = tmp_path / "rates.json"
    rate_file.write(path, made)
    return path


def rating(made: Calibration, *, as_confidence: bool = False) -> Rating:
    return Rating({0: made.index(IDS)}, as_confidence)


def found(seed: int, rows: int = 80) -> Any:
    """Columns as an engine makes them, of patterns that the table knows and others."""
    rng = np.random.default_rng(seed)
    ids = (*SEEN, "morning_star", "high_of_day")
    made = [
        event(
            f"ZZTEST{rng.integers(3)}",
            pattern_id=ids[rng.integers(len(ids))],
            direction=int(rng.integers(-1, 2)),
            confidence=float(rng.random()),
        )
        for _ in range(rows)
    ]
    columns = events(*made).columns
    at = np.array([IDS.index(one.pattern_id) for one in made], dtype=np.int32)
    return replace(columns, pattern=at)


@given(seed=st.integers(0, 2**32 - 1))
def test_each_event_is_told_what_the_table_says_of_its_like(made: Calibration, seed: int) -> None:
    given_, told = found(seed), rating(made).columns(found(seed))
    assert told.confidence.tolist() == given_.confidence.tolist()
    assert np.isnan(told.match_quality).all()
    for at, one in enumerate(Events(told, PATTERNS, ENCODER, np.arange(80))):
        rate = made.rate(one.pattern_id, one.direction, "1min", float(given_.confidence[at]))
        if rate is None:
            assert one.pattern_id not in SEEN
            assert (one.rates, told.n[at], told.edge[at]) == ({}, 0, 0)
        else:
            assert one.rates == {**{name: round(getattr(rate, name), 12) for name in RATES}, "edge": rate.edge}


@given(seed=st.integers(0, 2**32 - 1))
def test_as_confidence_the_rate_takes_the_place_of_the_match_quality_where_it_is_known(
    made: Calibration, seed: int
) -> None:
    given_, told = found(seed), rating(made, as_confidence=True).columns(found(seed))
    known = np.isin(np.array(IDS)[given_.pattern], SEEN)
    assert told.confidence[known].tolist() == told.hit_rate[known].tolist()
    assert told.match_quality[known].tolist() == given_.confidence[known].tolist()
    assert told.confidence[~known].tolist() == given_.confidence[~known].tolist()
    assert np.isnan(told.match_quality[~known]).all()
    assert np.isnan(told.hit_rate[~known]).all()


def test_without_a_table_nothing_is_known() -> None:
    told = Rating().columns(found(1))
    for name, dtype in ADDED_DTYPES.items():
        column = getattr(told, name)
        assert column.dtype == np.dtype(dtype)
        assert np.isnan(column).all() if dtype == "f8" else not column.any()
    assert Events(told, PATTERNS, ENCODER, np.arange(80))[0].rates == {}


def test_an_engines_own_detections_get_the_columns(made: Calibration) -> None:
    engine = Engine(EngineSettings(patterns=("trending_up_spec", "high_of_day")))
    begin_us = 1_757_599_200_000_000
    ticks = [tick(begin_us + n * MINUTE + 30_000_000, price=100.0 + n) for n in range(20)]
    detections = engine.ingest(ticks, begin_us + 20 * MINUTE).detections
    assert len(detections) > 1
    for told in (rating(made).columns(detections), Rating().columns(detections)):
        for name, dtype in EVENT_DTYPES.items():
            assert getattr(told, name).dtype == np.dtype(dtype), name
            assert len(getattr(told, name)) == len(detections), name


@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_what_is_told_goes_along_when_events_are_chosen_joined_and_kept(
    made: Calibration, seed: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mode = data.draw(st.booleans())
    all_of = [
        Events(rating(made, as_confidence=mode).columns(found(seed + n, 20)), PATTERNS, ENCODER, np.arange(20))
        for n in (0, 1)
    ]
    parts = [one.where(np.array(sorted(data.draw(st.sets(st.integers(0, 19), min_size=1))))) for one in all_of]
    wanted = [one for part in parts for one in part]
    joined = Events.joined(parts)
    assert list(joined) == wanted
    alone = Events(joined.compact(), PATTERNS, ENCODER, np.arange(len(joined)))
    assert list(alone) == wanted
    path = tmp_path_factory.mktemp("snapshot") / "ticks"
    progress = Progress(10, Position(7, 3, EVER_US, 5, 9, (), 12), 5_000_000, "start", (EVER_US, 5), ())
    snapshot.write(path, Snapshot("d", UUID(int=1), 1, 0, (), progress, (Unsent.of(1, joined),), b""))
    taken = snapshot.take(path)
    assert taken is not None
    (unsent,) = taken.unsent
    assert list(Events(unsent.columns, PATTERNS, ENCODER, np.arange(len(unsent)))) == wanted


def test_patterns_that_are_off_or_defined_otherwise_or_were_not_measured_have_no_rates(
    made: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "rates.json"
    rate_file.write(path, replace(made, definitions={**made.definitions, "engulfing": "another", "gone": "x"}))
    told = rate_table(PatternSettings(rates=path, enabled=("hammer", "engulfing", "morning_star")))
    assert told is not None
    best = max(bucket.hit_rate for group in made.groups if group.pattern == "hammer" for _, bucket in group.buckets())
    assert told.highest == {"hammer": round(best, 12)}
    assert (told.unknown, told.stale) == (("engulfing", "morning_star"), ("engulfing",))
    assert np.isnan(told.indexes[0].highest()).all(axis=1).tolist() == [name != "hammer" for name in IDS]


def test_by_default_those_are_on_that_are_the_first_of_their_name(file: Path) -> None:
    told = rate_table(PatternSettings(rates=file))
    assert told is not None
    assert sorted(told.highest) == sorted(SEEN)
    names = [pattern["name"] for pattern in PATTERNS]
    assert {*told.highest, *told.unknown} == {
        pattern["id"] for n, pattern in enumerate(PATTERNS) if pattern["name"] not in names[:n]
    }
    assert told.stale == ()


def test_a_pattern_reaches_a_confidence_by_the_best_of_the_ways_it_can_point(tmp_path: Path) -> None:
    planted = [Planted(name, -1, 900, 0.3) for name in ("engulfing", "shooting_star")] + [
        Planted("hammer", 1, 900, 0.6)
    ]
    rate_file.write(tmp_path / "rates.json", as_of_now(table(evidence(np.random.default_rng(1), planted))))
    told = rate_table(PatternSettings(rates=tmp_path / "rates.json", enabled=("engulfing", "shooting_star", "hammer")))
    assert told is not None
    assert told.highest["engulfing"] == 0.5, "a bullish one was not seen, and is told the base rate"
    assert told.highest["shooting_star"] < 0.4, "it is never bullish"
    least = told.highest["hammer"]
    assert least > 0.55
    assert [told.reaching(rate) for rate in (0, 0.45, 0.5, 0.51, least, math.nextafter(least, 1))] == [3, 2, 2, 1, 1, 0]
    assert [told.silences(rate) for rate in (0, 0.5, 0.51)] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"{", "is no JSON: it is damaged"),
        (b"{}", "is no table of rates"),
    ],
)
@pytest.mark.parametrize("words", [("run",), ("check",)])
def test_a_file_that_is_no_table_is_one_line_at_the_start(
    command: Run, tmp_path: Path, text: bytes | None, says: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "rates.json"
    if text is not None:
        path.write_bytes(text)
    environ = {"TICKSTOCKPL_PATTERNS__RATES": str(path), "DATABASE_URI": "postgresql://nobody@127.0.0.1:1/none"}
    done = command(*words, REDIS_URL="redis://127.0.0.1:1/0", **environ)
    assert done.returncode == 2
    if words == ("run",):
        assert said_once(done).startswith(f"{path} {says}")
    else:
        assert f"FAIL rates: {path} {says}" in done.stdout


def test_a_hit_rate_without_rates_is_one_line_that_says_what_to_set(command: Run) -> None:
    environ = {"TICKSTOCKPL_PATTERNS__CONFIDENCE": "hit_rate", "DATABASE_URI": "postgresql://nobody@127.0.0.1:1/none"}
    said = said_once(command("run", REDIS_URL="redis://127.0.0.1:1/0", **environ))
    assert said == (
        "patterns.confidence is hit_rate, which needs measured rates: "
        "set TICKSTOCKPL_PATTERNS__RATES to the file that `tickstockpl calibrate -o` writes"
    )
    wrong = said_once(command("run", TICKSTOCKPL_PATTERNS__CONFIDENCE="rate"))
    assert wrong == "TICKSTOCKPL_PATTERNS__CONFIDENCE: input should be 'quality' or 'hit_rate'"


def test_a_table_of_nothing_that_is_looked_for_is_a_mistake(command: Run, file: Path) -> None:
    environ = {"TICKSTOCKPL_PATTERNS__RATES": str(file), "DATABASE_URI": "postgresql://nobody@127.0.0.1:1/none"}
    said = said_once(command("run", TICKSTOCKPL_PATTERNS__ENABLED="morning_star", **environ, REDIS_URL="redis://h"))
    assert said == (f"{file} has no rates of patterns as they are now: make it anew with `tickstockpl calibrate`")


def test_what_the_start_says_of_rates(made: Calibration, tmp_path: Path, state_dir: Path) -> None:
    path = tmp_path / "rates.json"
    rate_file.write(path, replace(made, definitions={**made.definitions, "engulfing": "another"}))

    def said(**patterns: Any) -> list[dict[str, Any]]:
        settings = settings_for("postgresql:///x", "redis://h", state_dir, patterns={"rates": path, **patterns})
        with structlog.testing.capture_logs() as lines:
            service._rating(settings)
        return [dict(line) for line in lines]

    told, stale = said(enabled=("hammer", "engulfing"))
    assert (told["event"], told["patterns"], told["without"]) == ("rates are told", 1, 1)
    assert (told["data"], told["made"], told["confidence"]) == ("a test", "1970-01-01", "quality")
    assert (stale["log_level"], stale["ids"]) == ("warning", ["engulfing"])
    silent = said(enabled=("doji",), confidence="hit_rate")[-1]
    assert silent["event"] == "few rates reach publish.min_confidence: most events will not be sent"
    assert (silent["was"], silent["patterns"]) == (0.6, 0)
    assert [line["log_level"] for line in said(enabled=("hammer",), confidence="hit_rate")] == ["info"]
    with structlog.testing.capture_logs() as lines:
        assert service._rating(settings_for("postgresql:///x", "redis://h", state_dir)) == Rating()
    assert lines == []
