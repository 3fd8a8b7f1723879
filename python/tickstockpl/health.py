"""How the service is: the same for people, AppV2 and Prometheus, as answers for HTTP and a line a minute in the log."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from tickstockpl.clock import Clock
from tickstockpl.metrics import CONTENT_TYPE, Metrics
from tickstockpl.payload import Pulse
from tickstockpl.settings import FeedSettings
from tickstockpl.web import Answer, Answers, Query, json_answer

log = structlog.get_logger(__name__)

WATCH_S = 1.0
RATE_SAMPLES = 60
SERIOUS = {"ok": 0, "degraded": 1, "down": 2}
WORDS = {"ok": "healthy", "degraded": "degraded", "down": "unhealthy"}

Status = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stall:
    """A feed that fell silent: since when (monotonic), and after how many messages."""

    since_s: float
    messages: int


class FeedReports(Protocol):
    """Who is told when the feed falls silent, and when it is back."""

    def feed_stalled(self, since_s: float) -> None: ...
    def feed_recovered(self, after_s: float) -> None: ...


class Health:
    """What the stages say, put together; before `ready` there are none, and it says that the service starts.

    in_session: whether trading is on now, None where there is no calendar to say so.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        feed: FeedSettings,
        in_session: Callable[[], bool | None],
    ) -> None:
        self._stages: Mapping[str, Status] = {}
        self._clock = clock
        self._metrics = metrics
        self._feed = feed
        self._in_session = in_session
        self._started_s = clock.monotonic_s()
        self._samples: deque[tuple[float, Mapping[str, int]]] = deque(maxlen=RATE_SAMPLES + 1)
        self._lags_s: deque[float] = deque([0.0], maxlen=RATE_SAMPLES)
        self._expected_s = self._started_s
        """Since when ticks may be expected: since we listen, or the session's open."""
        self._stall: Stall | None = None

    def statuses(self) -> dict[str, dict[str, Any]]:
        """Every stage's own status, by name."""
        return {name: status() for name, status in self._stages.items()}

    def ready(self, stages: Mapping[str, Status]) -> None:
        """Warm-up is done and the stages run.

        stages: each one's `status`, by name; `ingest`, `pipeline` and `writer` are among them.
        """
        self._stages = dict(stages)
        self._expected_s = self._clock.monotonic_s()

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as plain values."""
        stages = self.statuses()
        state = max((stage["state"] for stage in stages.values()), key=SERIOUS.__getitem__, default="degraded")
        issues = [] if stages else ["the service is starting"]
        issues += [f"{name}: {stage['reason']}" for name, stage in stages.items() if stage["state"] != "ok"]
        in_session = self._in_session()
        if self._stall is not None and in_session is not False:
            # one that outlasted the session is not measured through the night: its silence begins anew at the open
            silence_s = self._clock.monotonic_s() - max(self._stall.since_s, self._expected_s)
            if silence_s >= self._feed.stall_s:
                issues.append(f"feed: no tick for {silence_s:.0f} s in session")
                state = max(state, "degraded", key=SERIOUS.__getitem__)
        return {
            "status": WORDS[state],
            "state": state,
            "ready": self._is_ready(stages),
            "issues": issues,
            "session": {None: "unknown", True: "open", False: "no session now"}[in_session],
            "uptime_s": round(self._clock.monotonic_s() - self._started_s, 1),
            "ticks_per_second": round(self._rate("ticks"), 1),
            "bars_per_minute": round(self._rate("bars") * 60, 1),
            "loop_lag_ms": round(max(self._lags_s) * 1e3, 1),
            "stages": stages,
        }

    def pulse(self) -> Pulse:
        """The numbers of AppV2's health messages."""
        snapshot = self.snapshot()
        pipeline, ingest = snapshot["stages"]["pipeline"], snapshot["stages"]["ingest"]
        counters = pipeline["counters"]
        return Pulse(
            state=snapshot["state"],
            active_symbols=counters["symbols"],
            ticks_per_second=snapshot["ticks_per_second"],
            bars_per_minute=snapshot["bars_per_minute"],
            processing_lag_ms=pipeline["processing_lag_ms"],
            patterns_detected=counters["detections"],
            indicators_calculated=pipeline["indicators_calculated"],
            connections=int(ingest["connected"]),
            failed=int(not ingest["connected"]),
            reconnections=ingest["reconnections"],
            issues=tuple(snapshot["issues"]),
        )

    async def watch(self, reports: FeedReports) -> None:
        """Measure rates and the loop's lag, watch the feed, and write one line a minute; until cancelled."""
        loop = asyncio.get_running_loop()
        due, minute = loop.time() + WATCH_S, 0
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            self._lags_s.append(max(0.0, loop.time() - due))
            self._metrics.loop_lag_seconds.set(max(self._lags_s))
            due = loop.time() + WATCH_S
            self.sample()
            self.check_feed(reports)
            minute += 1
            if minute % 60 == 0:
                self.log_minute()

    def sample(self) -> None:
        """Note the counters, for the rates."""
        pipeline = self._stages["pipeline"]()
        self._samples.append((self._clock.monotonic_s(), pipeline["counters"]))
        for channel, us in pipeline["event_time_us"].items():
            if us >= 0:
                self._metrics.event_lag_seconds.labels(channel).set((self._clock.now_us() - us) / 1e6)

    def check_feed(self, reports: FeedReports) -> None:
        """Report a feed that has been silent for too long in session, and its return."""
        now_s = self._clock.monotonic_s()
        pipeline = self._stages["pipeline"]()
        messages, silence_s = pipeline["counters"]["messages"], pipeline["silence_s"]
        if not self._in_session():
            self._expected_s = now_s
        heard_s = self._expected_s if silence_s is None else now_s - silence_s
        if self._stall is None:
            since_s = max(heard_s, self._expected_s)
            if now_s - since_s >= self._feed.stall_s:
                self._stall = Stall(since_s, messages)
                reports.feed_stalled(now_s - since_s)
                log.warning("no ticks in session", seconds=round(now_s - since_s, 1))
        elif messages > self._stall.messages:
            after_s = heard_s - self._stall.since_s
            self._stall = None
            reports.feed_recovered(after_s)
            log.info("feed is back", after_s=round(after_s, 1))

    def log_minute(self) -> None:
        """One line of statistics, of the last minute."""
        before, after = self._samples[0][1], self._samples[-1][1]
        made = {name: after[name] - before[name] for name in ("ticks", "bars", "bars_revised", "detections")}
        refused = sum(count - before[name] for name, count in after.items() if name.startswith("refused_"))
        snapshot = self.snapshot()
        log.info(
            "minute",
            **made,
            refused=refused,
            event_lag_s=snapshot["stages"]["pipeline"]["event_lag_s"],
            backlog_rows=snapshot["stages"]["writer"]["backlog_rows"],
            status=snapshot["status"],
        )

    def answers(self) -> Answers:
        """`/health`, `/ready` and `/metrics`."""
        return {"/health": self._health, "/ready": self._readiness, "/metrics": self._export}

    def _health(self, _: Query) -> Answer:
        snapshot = self.snapshot()
        return json_answer(snapshot, 503 if snapshot["state"] == "down" else 200)

    def _readiness(self, _: Query) -> Answer:
        snapshot = self.snapshot()
        body = {"ready": snapshot["ready"], "issues": snapshot["issues"]}
        return json_answer(body, 200 if snapshot["ready"] else 503)

    def _export(self, _: Query) -> Answer:
        return Answer(self._metrics.exposition(), content_type=CONTENT_TYPE)

    def _is_ready(self, stages: Mapping[str, Mapping[str, Any]]) -> bool:
        return bool(stages) and all(stages[name]["state"] != "down" for name in ("ingest", "writer"))

    def _rate(self, counter: str) -> float:
        """Per second, over the last five seconds for ticks and the last minute for the rest."""
        if len(self._samples) < 2:
            return 0.0
        span = 5 if counter == "ticks" else RATE_SAMPLES
        (from_s, before), (to_s, after) = self._samples[-min(len(self._samples), span + 1)], self._samples[-1]
        return (after[counter] - before[counter]) / max(to_s - from_s, 1e-9)
