"""Health: one answer out of what the stages say, a feed's silence told once, and the answers for HTTP."""

from typing import Any

import aiohttp
import orjson
import pytest
import structlog

from tickstockpl.clock import ManualClock
from tickstockpl.health import Health
from tickstockpl.metrics import CONTENT_TYPE, Metrics
from tickstockpl.settings import FeedSettings, HttpSettings
from tickstockpl.web import serving

T0_US = 1_757_600_460_000_000
STALL_S = 30.0


class Stages:
    """What the stages would say, and who is told about the feed."""

    def __init__(self, *, in_session: bool | None = True, ready: bool = True) -> None:
        self.clock = ManualClock(T0_US)
        self.in_session = in_session
        self.heard_s: float | None = None
        self.messages = 0
        self.says: dict[str, dict[str, Any]] = {
            "ingest": {"state": "ok", "connected": True, "reconnections": 2},
            "pipeline": {"state": "ok"},
            "writer": {"state": "ok", "backlog_rows": 0},
        }
        self.told: list[tuple[str, float]] = []
        statuses = {name: self._saying(name) for name in self.says}
        self.metrics = Metrics()
        self.health = Health(self.clock, self.metrics, FeedSettings(stall_s=STALL_S), lambda: self.in_session)
        self.metrics.read_stages(self.health.statuses)
        if ready:
            self.health.ready(statuses)

    def _saying(self, name: str) -> Any:
        return lambda: self.says[name] | (self._pipeline() if name == "pipeline" else {})

    def _pipeline(self) -> dict[str, Any]:
        now_s = self.clock.monotonic_s()
        return {
            "counters": {"messages": self.messages, "ticks": self.messages, "bars": 0, "bars_revised": 0}
            | {"detections": 5, "symbols": 7, "refused_bad_json": 0},
            "silence_s": None if self.heard_s is None else now_s - self.heard_s,
            "event_time_us": {"data.raw": T0_US - 1_500_000},
            "event_lag_s": 1.5,
            "processing_lag_ms": 0.25,
            "indicators_calculated": 12,
        }

    def hear(self, messages: int = 1) -> None:
        self.heard_s = self.clock.monotonic_s()
        self.messages += messages

    def wait(self, seconds: int) -> None:
        """Time passes, looked at once a second as `watch` does."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.health.sample()
            self.health.check_feed(self)

    def feed_stalled(self, since_s: float) -> None:
        self.told.append(("stalled", round(since_s)))

    def feed_recovered(self, after_s: float) -> None:
        self.told.append(("recovered", round(after_s)))


@pytest.mark.parametrize(("state", "word"), [("ok", "healthy"), ("degraded", "degraded"), ("down", "unhealthy")])
def test_the_worst_stage_is_the_whole(state: str, word: str) -> None:
    stages = Stages()
    stages.says["writer"] |= {"state": state, "reason": "no room"}
    snapshot = stages.health.snapshot()
    assert (snapshot["state"], snapshot["status"]) == (state, word)
    assert snapshot["issues"] == ([] if state == "ok" else ["writer: no room"])


def test_silence_in_session_is_told_once_and_so_is_its_end() -> None:
    stages = Stages()
    stages.hear()
    stages.wait(29)
    assert stages.told == []
    stages.wait(60)
    assert stages.told == [("stalled", 30)]
    assert stages.health.snapshot()["state"] == "degraded"
    assert stages.health.snapshot()["issues"] == ["feed: no tick for 89 s in session"]
    stages.hear()
    stages.wait(20)
    assert stages.told == [("stalled", 30), ("recovered", 89)]
    assert stages.health.snapshot()["state"] == "ok"
    stages.wait(20)
    assert stages.told[2:] == [("stalled", 30)]


def test_a_feed_that_never_spoke_is_silent_since_the_start() -> None:
    stages = Stages()
    stages.wait(40)
    assert stages.told == [("stalled", 30)]


def test_no_session_now_is_said_and_is_no_fault() -> None:
    stages = Stages(in_session=False)
    stages.wait(3600)
    snapshot = stages.health.snapshot()
    assert (snapshot["session"], snapshot["state"], snapshot["issues"]) == ("no session now", "ok", [])
    assert stages.told == []


def test_silence_is_counted_from_the_sessions_open_not_from_yesterdays_last_tick() -> None:
    stages = Stages(in_session=False)
    stages.hear()
    stages.wait(3600)
    stages.in_session = True
    stages.wait(29)
    assert stages.told == []
    stages.wait(2)
    assert stages.told == [("stalled", 30)]


def test_a_stall_is_no_issue_after_the_close_and_ends_with_the_next_days_first_tick() -> None:
    stages = Stages()
    stages.wait(31)
    stages.in_session = False
    stages.wait(100)
    assert stages.health.snapshot()["issues"] == []
    stages.hear()
    stages.wait(1)
    assert [what for what, _ in stages.told] == ["stalled", "recovered"]


def test_a_stall_that_outlasts_the_session_is_an_issue_again_after_so_long_from_the_next_open() -> None:
    stages = Stages()
    stages.wait(31)
    stages.in_session = False
    stages.wait(3600)
    stages.in_session = True
    stages.wait(29)
    assert (stages.health.snapshot()["state"], stages.health.snapshot()["issues"]) == ("ok", [])
    stages.wait(5)
    assert stages.health.snapshot()["issues"] == ["feed: no tick for 34 s in session"]
    assert [what for what, _ in stages.told] == ["stalled"]
    stages.hear()
    stages.wait(1)
    assert [what for what, _ in stages.told] == ["stalled", "recovered"]


def test_rates_are_of_the_last_five_seconds_and_the_last_minute() -> None:
    stages = Stages()
    for _ in range(10):
        stages.hear(100)
        stages.wait(1)
    assert stages.health.snapshot()["ticks_per_second"] == pytest.approx(100)
    stages.wait(10)
    assert stages.health.snapshot()["ticks_per_second"] == 0


def test_the_pulse_for_appv2_has_the_same_numbers() -> None:
    pulse = Stages().health.pulse()
    assert (pulse.state, pulse.active_symbols, pulse.patterns_detected, pulse.indicators_calculated) == ("ok", 7, 5, 12)
    assert (pulse.connections, pulse.failed, pulse.reconnections) == (1, 0, 2)


def test_the_three_answers() -> None:
    stages = Stages()

    def get(path: str) -> tuple[int, Any]:
        answer = stages.health.answers()[path]({})
        return answer.status, (answer.body.decode() if path == "/metrics" else orjson.loads(answer.body))

    assert get("/ready") == (200, {"ready": True, "issues": []})
    status, body = get("/health")
    assert (status, body["status"], body["stages"]["ingest"]["reconnections"]) == (200, "healthy", 2)
    stages.says["ingest"] |= {"state": "down", "reason": "no Redis"}
    assert get("/ready")[0] == 503
    status, body = get("/health")
    assert (status, body["status"], body["issues"]) == (503, "unhealthy", ["ingest: no Redis"])
    stages.health.sample()
    _, metrics = get("/metrics")
    assert 'tickstockpl_stage_state{stage="ingest"} 2.0' in metrics
    assert 'tickstockpl_event_lag_seconds{channel="data.raw"} 1.5' in metrics


def test_a_service_that_still_warms_up_answers_that_it_is_not_ready() -> None:
    answers = Stages(ready=False).health.answers()
    ready = answers["/ready"]({})
    assert (ready.status, orjson.loads(ready.body)) == (503, {"ready": False, "issues": ["the service is starting"]})
    health = answers["/health"]({})
    assert (health.status, orjson.loads(health.body)["status"]) == (200, "degraded")


@pytest.mark.anyio
async def test_prometheus_gets_its_own_type_over_http() -> None:
    stages = Stages()
    async with (
        serving(HttpSettings(port=0), stages.health.answers(), stages.metrics) as port,
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert (answer.status, answer.headers["Content-Type"]) == (200, CONTENT_TYPE)
        assert "tickstockpl_stage_state" in await answer.text()


def test_one_line_a_minute_has_what_happened_in_it() -> None:
    stages = Stages()
    stages.wait(1)
    stages.hear(50)
    stages.wait(60)
    with structlog.testing.capture_logs() as lines:
        stages.health.log_minute()
    (line,) = lines
    assert line["event"] == "minute"
    assert (line["ticks"], line["bars"], line["refused"], line["event_lag_s"]) == (50, 0, 0, 1.5)
