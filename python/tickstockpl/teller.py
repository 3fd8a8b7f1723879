"""What became of events, told on a channel of its own: each outcome once, whoever is killed when.

The table is the queue: its rows have numbers in the order in which they were stored. How far they are told stands in
Redis itself, and moves in the transaction that publishes: a Redis that has the one has the other. Nothing waits in
memory.
"""

import asyncio
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tickstockpl import payload, postgres
from tickstockpl.clock import Clock
from tickstockpl.connection import LOST, Connection, heed_cancellation, round_trip
from tickstockpl.errors import ServerError
from tickstockpl.metrics import Metrics
from tickstockpl.moments import moment_at
from tickstockpl.settings import Settings
from tickstockpl.trouble import Trouble

TOLD = "tickstockpl:outcomes:"
"""With the part, the key of the last outcome that was told: its number, a space, and its event's id."""

ROWS = 500
"""Told in one transaction."""
RETRY_S = 5.0

_PLACE = "SELECT event_id::text FROM pattern_outcome WHERE part = $1 AND seq = $2"
_NEWEST = "SELECT seq, event_id::text FROM pattern_outcome WHERE part = $1 ORDER BY seq DESC LIMIT 1"
_NEXT = """
SELECT o.seq, o.event_id::text, o.symbol, o.timeframe, o.outcome, o.bars, o.price, o.result, o.result_bars,
       extract(epoch FROM o.bar_start)::float8 AS bar_start, extract(epoch FROM o.outcome_bar)::float8 AS outcome_bar,
       o.recorded_at >= $3 AS news, e.pattern, e.direction, e.confidence,
       extract(epoch FROM e.bar_end)::float8 AS bar_end
FROM pattern_outcome o LEFT JOIN pattern_event e USING (event_id)
WHERE o.part = $1 AND o.seq > $2 ORDER BY o.seq LIMIT $4
"""

log = structlog.get_logger(__name__)


class Teller:
    """The helper of the service that tells outcomes, oldest first.

    What was stored longer ago than `publish.event_ttl_s` is passed over: nobody is shown its event any more.
    """

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._link = Connection(settings.redis, metrics, client_name="tickstockpl-outcomes")
        self._part = settings.ingest.part
        self._key = f"{TOLD}{self._part}"
        self._stored = asyncio.Event()
        self._trouble = Trouble()
        self._number = 0
        self._told = self._passed_over = 0

    def stored(self) -> None:
        """Outcomes were stored."""
        self._stored.set()

    def status(self) -> dict[str, Any]:
        """How it goes, as plain values."""
        return {
            **self._trouble.state("outcomes are not told, trying again"),
            "told": self._told,
            "passed_over": self._passed_over,
            "faults": self._link.faults,
        }

    async def run(self) -> None:
        """Tell what is stored, and what will be; until cancelled. Either server may be away meanwhile."""
        async with self._link.client() as redis:
            while True:
                heed_cancellation()
                try:
                    await self._link.establish(redis)
                    heed_cancellation()
                    async with postgres.for_command(self._settings.database) as connection:
                        await self._serve(redis, connection)
                except LOST as error:
                    await self._link.lost(redis, error)
                except (ServerError, ResponseError) as error:
                    if self._trouble.again(str(error)):
                        log.warning("outcomes are not told, trying again", error=str(error))
                    await asyncio.sleep(RETRY_S)

    async def _serve(self, redis: Redis, connection: postgres.Connection) -> None:
        """Raises one of LOST, ServerError or ResponseError."""
        place = await self._begin(redis, connection)
        while True:
            self._stored.clear()
            while reached := await self._tell(redis, connection, place):
                place = reached
            self._trouble.over()
            heed_cancellation()
            await self._stored.wait()

    async def _begin(self, redis: Redis, connection: postgres.Connection) -> int:
        """The number of the last outcome that was told; of another table, or of none, the newest that is there.

        Its row may have been deleted since, as old; those that came after it are told all the same.
        """
        kept: Any = await redis.get(self._key)
        said, _, of = (kept or b"").decode().partition(" ")
        seq, event_id = await connection.fetchrow(_NEWEST, self._part) or (0, "")
        if said.isdecimal() and (int(said) <= seq or not of):
            there: str | None = await connection.fetchval(_PLACE, self._part, int(said))
            if there is None or there == of:
                return int(said)
        await redis.set(self._key, f"{seq} {event_id}")
        return int(seq)

    async def _tell(self, redis: Redis, connection: postgres.Connection, place: int) -> int | None:
        """Tell the next ones; gives the number of the last, None if there are none."""
        since = moment_at(self._clock.now_us() - round(self._settings.publish.event_ttl_s * 1e6))
        rows = await connection.fetch(_NEXT, self._part, place, since, ROWS)
        if not rows:
            return None
        news = [row for row in rows if row["news"] and row["pattern"] is not None]
        channel = self._settings.redis.outcome_channel
        messages = [payload.numbered(_message(row), self._number + n) for n, row in enumerate(news, 1)]
        last = rows[-1]
        commands: list[tuple[Any, ...]] = [("MULTI",), *(("PUBLISH", channel, message) for message in messages)]
        commands += [("SET", self._key, f"{last['seq']} {last['event_id']}"), ("EXEC",)]
        answers = await round_trip(redis, commands)
        if refused := next((answer for answer in answers if isinstance(answer, ResponseError)), None):
            raise refused
        self._number += len(news)
        self._told += len(news)
        self._passed_over += len(rows) - len(news)
        return int(last["seq"])


def _message(row: Any) -> bytes:
    """What is published of a row."""
    known = {"result": row["result"], "result_bars": row["result_bars"]}
    return orjson.dumps(
        {
            "type": "pattern_outcome",
            "event_type": "pattern_outcome",
            "source": payload.SOURCE,
            "flow_id": row["event_id"],
            "symbol": row["symbol"],
            "pattern": row["pattern"],
            "direction": _DIRECTIONS[row["direction"]],
            "confidence": row["confidence"],
            "timeframe": row["timeframe"],
            "timestamp": payload.iso(round((row["outcome_bar"] + row["bar_end"] - row["bar_start"]) * 1e6)),
            "outcome": row["outcome"],
            "bars": row["bars"],
            "price": row["price"],
            "bar_start": row["bar_start"],
            "bar_end": row["bar_end"],
            "outcome_bar": row["outcome_bar"],
            **{name: value for name, value in known.items() if value is not None},
        }
    )


_DIRECTIONS = {1: "bullish", 0: "neutral", -1: "bearish"}
