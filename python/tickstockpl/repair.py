"""Flagged minutes put right: bars that somebody gives us take the place of those in which ticks may be missing.

A minute is open to repair if its bar is flagged, or if it has none and lies in a window of `ingest_gap`. What the
service may still revise is left alone: a late tick would be folded into another bar than the one that is stored.
"""

# ruff: noqa: S608 - what is put into these texts are our own words and column names; values are parameters

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from tickstockpl import postgres
from tickstockpl.binary_copy import copied
from tickstockpl.gaps import Report
from tickstockpl.given import COLUMNS, GivenBars
from tickstockpl.missed import Missed, in_gap, windows
from tickstockpl.moments import MINUTE_US
from tickstockpl.postgres import Connection
from tickstockpl.sessions import Session
from tickstockpl.settings import DatabaseSettings
from tickstockpl.statements import CHANGED_SESSIONS, accept
from tickstockpl.tables import FLAGGED, PRICES, SOURCE, Tables, whole_tables
from tickstockpl.vendor import Wanted
from tickstockpl.vocabulary import REPAIRED

MARGIN_S = 300.0
"""Beyond the revise window: a bar closes after its end, and its row is written later still."""

HEARD_US = 7 * 86_400_000_000
"""A symbol without a bar for so long before the repair is not one of ours: a vendor's file has the whole market."""

COPIED_ROWS = 200_000
"""At a time: a day of the whole market need not be in memory twice."""

_START = "timestamptz 'epoch' + g.ts_us * interval '1 microsecond'"

_STAGE = """
CREATE TEMPORARY TABLE tickstockpl_given (
  symbol text, ts_us bigint, open float8, high float8, low float8, close float8, volume bigint, vwap float8,
  trades bigint
) ON COMMIT DELETE ROWS
"""

_FLAGGED_LEFT = f"""
SELECT b.symbol::text, count(*) FROM ohlcv_1min b
WHERE b.timestamp >= $1 AND b.timestamp < $2 AND ($3::text[] IS NULL OR b.symbol = ANY ($3)) AND {FLAGGED}
  AND NOT EXISTS (SELECT FROM tickstockpl_plan p
                  WHERE p.what = 'replaced' AND p.symbol = b.symbol AND p.timestamp = b.timestamp)
GROUP BY 1
"""

_PLANNED = "SELECT symbol, what, count(*) FROM tickstockpl_plan WHERE what <> 'kept' GROUP BY 1, 2"

_VALUES = (*PRICES, "volume", "vwap", "trades")

_REPLACE = f"""
UPDATE ohlcv_1min b SET {", ".join(f"{name} = p.{name}" for name in _VALUES)}, quality = '{REPAIRED}',
  revision = coalesce(b.revision, 0) + 1, {", ".join(f"{name} = NULL" for name in ("open_at", "close_at", *SOURCE))}
FROM tickstockpl_plan p
WHERE p.what = 'replaced' AND b.symbol = p.symbol AND b.timestamp = p.timestamp
  AND b.timestamp >= $1 AND b.timestamp < $2
  AND b.revision IS NOT DISTINCT FROM p.revision AND b.quality IS NOT DISTINCT FROM p.quality
"""
"""Bars that the service has changed since they were looked at stay its own."""

_ADD = f"""
INSERT INTO ohlcv_1min (symbol, timestamp, {", ".join(_VALUES)}, quality, revision)
SELECT symbol, timestamp, {", ".join(_VALUES)}, '{REPAIRED}', 0 FROM tickstockpl_plan
WHERE what = 'added' ORDER BY symbol, timestamp
ON CONFLICT (symbol, timestamp) DO NOTHING
"""

_COUNT = """
INSERT INTO ingest_checkpoint AS known (part, epoch, owner) VALUES ('*repair', 1, 'tickstockpl repair')
ON CONFLICT (part) DO UPDATE SET epoch = known.epoch + 1, updated_at = now()
"""
"""Of a part that no service can have: a start that would go on with windows from before reads rows instead."""

_KNOWN = """
SELECT name FROM unnest($1::text[]) AS s(name)
WHERE EXISTS (SELECT FROM ohlcv_1min b WHERE b.symbol = name AND b.timestamp >= $2 AND b.timestamp < $3)
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One symbol on one day, in bars."""

    day: Session
    symbol: str
    replaced: int
    added: int
    revisable: int
    """Open to repair, but left: the service may still revise them."""
    flagged: int
    """That may lack ticks still: nobody gave a bar for them, or they are among the revisable."""


async def repair(
    settings: DatabaseSettings,
    given: GivenBars,
    days: Sequence[Session],
    revisable_us: int,
    *,
    symbols: Sequence[str] = (),
    everything: bool = False,
    dry_run: bool = False,
) -> AsyncIterator[Change]:
    """Put the minutes of each day right, a transaction a day; a second time changes nothing.

    given: what is outside of `days` is left aside, and so are symbols without a bar in the week before them or in them.
    revisable_us: `revisable_from`; what starts from there on is left alone.
    symbols: these alone, whether they have bars or not.
    everything: also minutes that nothing is known to be wrong with, where `given` says otherwise.
    dry_run: only say what would be done.
    Gives a change for each day and symbol that has one, or has flagged bars left.
    Raises ServerError if the database cannot be used or refuses; earlier days stay repaired.
    """
    async with postgres.for_command(settings) as connection:
        tables = await whole_tables(connection)
        given = given.only(await _known(connection, tables, given, days, symbols))
        if symbols and tables.symbols_key and settings.symbol_policy == "accept" and not dry_run:
            await connection.execute(accept(tables.columns["symbols"]), sorted(given.symbols()))
        work = _Repair(connection, tables, revisable_us, everything)
        await connection.execute(_STAGE)
        await connection.execute(work.plan_table())
        for day in days:
            for change in await work.day(day, given.within(day.open_us, day.close_us), symbols, dry_run=dry_run):
                yield change


def wanted(report: Report, *, everything: bool = False) -> list[Wanted]:
    """What the vendor is to be asked for: whole sessions of the symbols that are not whole in them, or of all."""
    return [
        Wanted(count.symbol, count.day.session.open_us, count.day.session.close_us)
        for count in report.counts
        if everything or not count.whole
    ]


async def revisable_from(settings: DatabaseSettings, now_us: int, revise_s: float) -> int:
    """The first minute that the service may still revise, µs UTC: feeds are delayed, so the newest bar counts too.

    Raises ServerError if the database cannot be asked.
    """
    async with postgres.for_command(settings) as connection:
        tables = await whole_tables(connection)
        newest_s = await connection.fetchval(
            "SELECT extract(epoch FROM max(timestamp))::bigint FROM ohlcv_1min WHERE timestamp <= $1",
            tables.moment(now_us),
        )
    until_us = now_us if newest_s is None else min(now_us, newest_s * 1_000_000 + MINUTE_US)
    return (until_us - round((revise_s + MARGIN_S) * 1e6)) // MINUTE_US * MINUTE_US


async def _known(
    connection: Connection, tables: Tables, given: GivenBars, days: Sequence[Session], asked: Sequence[str]
) -> set[str]:
    names = given.symbols()
    if asked or not days or not names:
        return names & {*asked}
    span = tables.moment(days[0].open_us - HEARD_US), tables.moment(days[-1].close_us)
    return {row[0] for row in await connection.fetch(_KNOWN, sorted(names), *span)}


@dataclass(frozen=True, slots=True)
class _Repair:
    connection: Connection
    tables: Tables
    revisable_us: int
    everything: bool

    async def day(self, day: Session, given: GivenBars, symbols: Sequence[str], *, dry_run: bool) -> list[Change]:
        span = self.tables.moment(day.open_us), self.tables.moment(day.close_us)
        async with postgres.transaction(self.connection):
            if len(given):
                await self._plan(day, given)
            done: Counter[tuple[str, str]] = Counter()
            for symbol, what, count in await self.connection.fetch(_PLANNED):
                done[symbol, what] = count
            for symbol, count in await self.connection.fetch(_FLAGGED_LEFT, *span, list(symbols) or None):
                done[symbol, "flagged"] = count
            if not dry_run and len(given):
                await self.connection.execute(_REPLACE, *span)
                await self.connection.execute(_ADD)
                await self.connection.execute(_COUNT)
                await self.connection.execute(CHANGED_SESSIONS, day.open_us, day.close_us - 1, day.close_us)
        names = sorted({symbol for symbol, _ in done})
        what = ("replaced", "added", "revisable", "flagged")
        return [Change(day, symbol, *(done[symbol, each] for each in what)) for symbol in names]

    async def _plan(self, day: Session, given: GivenBars) -> None:
        for part in given.parts(COPIED_ROWS):
            await self._copy(part)
        missed = Missed.of(await windows(self.connection, day.open_us, day.close_us), day.open_us, day.close_us)
        await self.connection.execute(
            self._plan_sql(),
            self.tables.moment(day.open_us),
            self.tables.moment(day.close_us),
            self.everything,
            self.tables.moment(self.revisable_us),
            *missed.arguments(self.tables),
        )

    async def _copy(self, given: GivenBars) -> None:
        async def source() -> AsyncIterator[bytes]:
            yield copied(given.names.tolist(), given.rows, COLUMNS)

        await self.connection.copy_to_table(
            "tickstockpl_given", source=source(), columns=["symbol", *COLUMNS], format="binary"
        )

    def plan_table(self) -> str:
        """The table of what becomes of each given bar, in the types of `ohlcv_1min`: prices are rounded alike."""
        columns = self.tables.columns["ohlcv_1min"]
        typed = ", ".join(f"{name} {columns[name].type}" for name in (*_VALUES, "revision", "quality"))
        return f"""
            CREATE TEMPORARY TABLE tickstockpl_plan (
              symbol text, timestamp {columns["timestamp"].type}, {typed}, what text
            ) ON COMMIT DELETE ROWS"""

    def _plan_sql(self) -> str:
        columns = self.tables.columns["ohlcv_1min"]

        def typed(name: str, value: str) -> str:
            # A double cast to numeric keeps 15 digits; its text has all that are needed to read the same double back.
            text = "::text" if columns[name].type.startswith("numeric") else ""
            return f"({value}){text}::{columns[name].type} AS {name}"

        start = f"({_START}) AT TIME ZONE 'UTC'" if self.tables.naive else _START
        join, is_missed = in_gap(self.tables, "g", 5)
        values = [typed(name, f"g.{name}") for name in (*PRICES, "volume")]
        values += [typed("vwap", "nullif(g.vwap, 'NaN')"), typed("trades", "nullif(g.trades, -1)")]
        equal = [f"g.{name} IS NOT DISTINCT FROM b.{name}" for name in (*PRICES, "volume")]
        equal += [f"coalesce(g.{name} = b.{name}, g.{name} IS NULL)" for name in ("vwap", "trades")]
        fine = f"NOT coalesce({FLAGGED}, false) AND (NOT $3 OR ({' AND '.join(equal)}))"
        return f"""
            INSERT INTO tickstockpl_plan
            SELECT g.*, b.revision, b.quality, CASE
              WHEN b.symbol IS NULL AND NOT ($3::boolean OR {is_missed}) THEN 'kept'
              WHEN b.symbol IS NOT NULL AND {fine} THEN 'kept'
              WHEN g.timestamp >= $4 THEN 'revisable'
              WHEN b.symbol IS NULL THEN 'added'
              ELSE 'replaced'
            END
            FROM (SELECT g.symbol, {start} AS timestamp, {", ".join(values)} FROM tickstockpl_given g) g
            LEFT JOIN ohlcv_1min b
              ON b.symbol = g.symbol AND b.timestamp = g.timestamp AND b.timestamp >= $1 AND b.timestamp < $2
            {join}"""
