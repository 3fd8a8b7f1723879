"""The slow, obvious engine: what the Rust one must say, one tick at a time, on dicts and lists.

A bar keeps every tick that it folded and is computed from them anew whenever its row is asked for. Minutes are
int64 µs UTC of their start; a channel is its index in settings order.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import NamedTuple

from oracle_decode import NAN, Tick, decode_message

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
PARTIAL_START, GAP, PROVISIONAL, LATE_REVISED = 1, 2, 4, 8
BLOCKED_HIGH_LOW = frozenset({2, 7, 12, 13, 15, 16, 20, 21, 29, 37, 52, 53})
BLOCKED_OPEN_CLOSE = BLOCKED_HIGH_LOW | {5, 10, 22, 32, 33}
BLOCKED_VOLUME = frozenset({15, 16, 38})


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the oracle knows, with the engine's names and defaults."""

    channels: tuple[str, ...] = ("data.raw", "tickstock.data.raw")
    lateness_a_s: float = 2.0
    lateness_t_s: float = 5.0
    revise_s: float = 900.0
    max_symbols: int = 20_000
    price_scale: int | None = None
    seq_counts: bool = False
    volume_checked: bool = True
    regular: tuple[tuple[int, int], ...] = ()

    def lateness_us(self, kind: str) -> int:
        return round((self.lateness_a_s if kind == "A" else self.lateness_t_s) * SECOND)

    @property
    def revise_us(self) -> int:
        return round(self.revise_s * SECOND)


class Row(NamedTuple):
    """One emitted bar."""

    symbol: str
    ts_us: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    vwap: float
    trades: int
    revision: int
    quality: int
    open_us: int
    close_us: int


class Rights(NamedTuple):
    high_low: bool
    open_close: bool
    volume: bool


@dataclass(slots=True)
class Bar:
    """One (symbol, minute): its folded ticks in arrival order and what was fixed when it opened."""

    symbol: str
    start_us: int
    owner: int
    kind: str
    ticks: list[tuple[Tick, Rights]] = field(default_factory=list)
    closed: bool = False
    revision: int = 0
    quality: int = 0

    @property
    def end_us(self) -> int:
        return self.start_us + MINUTE

    def has_row(self) -> bool:
        """Without a print that may set a price there is no bar to show, only volume."""
        return any(rights.high_low for _, rights in self.ticks)


@dataclass(slots=True)
class Channel:
    """One channel's clock: E, when it last moved, since when it is heard, the tick held as too far ahead, flags."""

    event_time_us: int | None = None
    moved_at_us: int = 0
    heard_from_us: int = 0
    held: Tick | None = None
    flag_next: int = 0
    flag_since_us: int | None = None
    """Of `flag_next`: E when listening stopped, or the first stamp heard; None as long as there is neither."""
    flag_over_us: tuple[int, int] | None = None
    """Once a tick was heard for it: from which stamp on, and after which moment, no other goes on with it."""
    flagged: list[tuple[int, int, int]] = field(default_factory=list)
    newest_seq: int | None = None
    unreadable: int = 0
    """Ticks since `newest_seq` whose number could not be read."""

    def silence_us(self, now_us: int) -> int:
        return max(0, now_us - self.moved_at_us)

    def heard_silence_us(self, now_us: int) -> int:
        """The silence that was listened to: what passed before a subscription was not."""
        return max(0, now_us - max(self.moved_at_us, self.heard_from_us))


def minute_of(ts_us: int, kind: str) -> int:
    """An aggregate is stamped with the END of its window, a trade with its moment."""
    return (ts_us - 1 if kind == "A" else ts_us) // MINUTE * MINUTE


class Oracle:
    """`Engine` without windows and detections; every method is a sentence of the rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.channels = [Channel() for _ in rules.channels]
        self.heard: dict[str, dict[tuple[int, str], int]] = {}
        self.bars: dict[tuple[str, int], Bar] = {}
        self.open: list[Bar] = []
        self.emitted: list[Row] = []
        self.dead: list[tuple[str, str, int]] = []
        self.counts: Counter[str] = Counter()
        self.day_volumes: dict[str, dict[int, list[tuple[int, int, int | None]]]] = {}
        """Of each symbol's newest minutes, in order: channel, shares and day's volume of its owner's aggregates."""
        self.jumps: list[tuple[str, int, int, int]] = []
        self.short: list[tuple[str, int, int, int]] = []
        self.now_us = 0

    def ingest(self, payloads: Iterable[bytes], now_us: int, channel: int = 0) -> None:
        self.now_us = now_us
        for payload in payloads:
            self.counts["messages"] += 1
            for tick in decode_message(payload):
                self.counts["ticks"] += 1
                if isinstance(tick, str):
                    self.counts[f"refused_{tick}"] += 1
                    self.channels[channel].unreadable += 1
                    continue
                self._number(tick, channel)
                if tick.kind == "Q":
                    self.counts["quotes"] += 1
                elif tick.ts_us > now_us + 5 * SECOND:
                    self.counts["refused_future"] += 1
                else:
                    self._release_or_hold(tick, channel)

    def advance(self, now_us: int) -> None:
        self.now_us = now_us
        for index, channel in enumerate(self.channels):
            if channel.event_time_us is not None:
                self._close(index, channel.event_time_us + channel.heard_silence_us(now_us) - SECOND)

    def flush(self) -> None:
        for index, channel in enumerate(self.channels):
            if channel.held is not None:
                held, channel.held = channel.held, None
                self._accept(held, index)
        for bar in sorted(self.open, key=lambda bar: bar.start_us):
            self._emit_closed(bar)
        self.open = []

    def subscribed(self, now_us: int, first: bool) -> None:
        self.now_us = now_us
        for channel in self.channels:
            self._flag_from_here(channel, PARTIAL_START if first else GAP)
            channel.heard_from_us = now_us
        if not first:
            for bar in self.open:
                bar.quality |= GAP

    def provisional(self) -> list[Row]:
        rows = [self._row(bar, PROVISIONAL) for bar in self.open]
        return [row for row in rows if row is not None]

    def counters(self) -> dict[str, int]:
        self.counts["held"] = sum(channel.held is not None for channel in self.channels)
        self.counts["symbols"] = len(self.heard)
        self.counts["open_bars"] = len(self.open)
        return {name: count for name, count in self.counts.items() if count}

    def event_time_us(self) -> list[int]:
        return [-1 if channel.event_time_us is None else channel.event_time_us for channel in self.channels]

    def _number(self, tick: Tick, index: int) -> None:
        channel = self.channels[index]
        if not self.rules.seq_counts or tick.seq == -1:
            return
        newest = channel.newest_seq
        if newest is not None and newest - 1024 < tick.seq <= newest:
            return
        missing = 0 if newest is None else tick.seq - newest - 1 - channel.unreadable
        channel.newest_seq, channel.unreadable = tick.seq, 0
        if missing <= 0:
            return
        self.counts["missing_ticks"] += missing
        event_us = tick.ts_us if channel.event_time_us is None else channel.event_time_us
        from_us, to_us = sorted((event_us, tick.ts_us))
        self.jumps.append((self.rules.channels[index], missing, from_us, to_us))
        if not channel.flag_next or channel.flag_over_us:
            self._flag_from_here(channel, GAP)

    def _release_or_hold(self, tick: Tick, index: int) -> None:
        channel = self.channels[index]
        if channel.event_time_us is None:
            self._accept(tick, index)
            return
        if channel.held is not None:
            held, channel.held = channel.held, None
            if self._is_ahead(tick, channel):
                self._accept(held, index)
            else:
                self.counts["refused_ahead_of_feed"] += 1
        if self._is_ahead(tick, channel):
            channel.held = tick
        else:
            self._accept(tick, index)

    def _is_ahead(self, tick: Tick, channel: Channel) -> bool:
        assert channel.event_time_us is not None
        return tick.ts_us > channel.event_time_us + MINUTE + channel.silence_us(self.now_us)

    def _accept(self, tick: Tick, index: int) -> None:
        if tick.symbol not in self.heard:
            if len(self.heard) >= self.rules.max_symbols:
                self.counts["refused_symbol_cap"] += 1
                return
            self.heard[tick.symbol] = {}
        channel = self.channels[index]
        heard = self.heard[tick.symbol]
        heard[index, tick.kind] = max(heard.get((index, tick.kind), 0), tick.ts_us)
        feed_before = max(self.event_time_us())
        if channel.event_time_us is None or tick.ts_us > channel.event_time_us:
            self._set_flags(tick, channel)
            channel.event_time_us = tick.ts_us
            channel.moved_at_us = self.now_us
        self._account(tick, index)
        self._fold(tick, index, channel.event_time_us)
        self._close(index, channel.event_time_us)
        self._forget(feed_before, max(self.event_time_us()))

    @staticmethod
    def _flag_from_here(channel: Channel, flag: int) -> None:
        if not channel.flag_next or channel.flag_over_us:
            channel.flag_since_us = channel.event_time_us
        channel.flag_next, channel.flag_over_us = flag, None

    def _set_flags(self, tick: Tick, channel: Channel) -> None:
        """The first tick after a gap says up to where it reaches, and so do those of the next second, as the first may
        be late; one that is a lateness ahead of the first is the last, unless it is 20 s and more further ahead.
        """
        if channel.flag_over_us:
            over_us, until_us = channel.flag_over_us
            if self.now_us > until_us or tick.ts_us >= over_us + 20 * SECOND:
                channel.flag_next, channel.flag_over_us = 0, None
        if not channel.flag_next:
            return
        late_us = self.rules.lateness_us(tick.kind)
        own = minute_of(tick.ts_us, tick.kind)
        first = own if channel.flag_since_us is None else min(own, minute_of(channel.flag_since_us, tick.kind))
        last = own if channel.flag_over_us else minute_of(tick.ts_us + late_us, tick.kind)
        channel.flagged.append((first, last, channel.flag_next))
        if channel.flag_over_us is None:
            channel.flag_over_us = tick.ts_us + late_us, self.now_us + SECOND
            if channel.flag_since_us is None:
                channel.flag_since_us = tick.ts_us
        elif tick.ts_us >= channel.flag_over_us[0]:
            channel.flag_next, channel.flag_over_us = 0, None

    def _account(self, tick: Tick, index: int) -> None:
        minute_us = minute_of(tick.ts_us, tick.kind)
        if not self.rules.volume_checked or self._owner(tick.symbol, minute_us) != (index, "A") or tick.kind != "A":
            return
        said = tick.accumulated_volume if Rights(*rights_of(tick, self.rules)).volume else None
        known = self.day_volumes.get(tick.symbol, {})
        if minute_us not in known and len(known) == 4 and minute_us < min(known):
            return
        known.setdefault(minute_us, []).append((index, tick.volume, said))
        self.day_volumes[tick.symbol] = dict(sorted(known.items())[-4:])

    def _is_short(self, bar: Bar) -> bool:
        """Notes what the day's volume says is missing as the bar closes; whether the bar may lack any of it."""
        ends = {
            minute_us: (min((said or 0) - shares for _, shares, said in ticks), max(said or 0 for _, _, said in ticks))
            for minute_us, ticks in self.day_volumes.get(bar.symbol, {}).items()
            if all(said is not None and channel == ticks[0][0] for channel, _, said in ticks)
        }
        if bar.kind != "A" or bar.start_us not in ends or self.day_volumes[bar.symbol][bar.start_us][0][0] != bar.owner:
            return False
        volume = sum(tick.volume for tick, rights in bar.ticks if rights.volume)
        begin, end = ends[bar.start_us]
        found = [(bar.start_us, bar.end_us, end - begin - volume)]
        older = max((minute_us for minute_us in ends if minute_us < bar.start_us), default=None)
        newer = min((minute_us for minute_us in ends if minute_us > bar.start_us), default=None)
        if older is not None and older // DAY == bar.start_us // DAY:
            found.append((older, bar.end_us, begin - ends[older][1]))
        short = [each for each in found if each[2] > 0]
        self.short += [(bar.symbol, *each) for each in short]
        self.counts["missing_volume"] += sum(volume for _, _, volume in short)
        if newer == bar.end_us and newer // DAY == bar.start_us // DAY and ends[newer][0] > end:
            return True
        return any(to_us - from_us <= 2 * MINUTE for from_us, to_us, _ in short)

    def _owner(self, symbol: str, start_us: int) -> tuple[int, str]:
        heard = {key for key, ts_us in self.heard[symbol].items() if ts_us >= start_us - MINUTE}
        owner = min(index for index, _ in heard)
        return owner, "A" if (owner, "A") in heard else "T"

    def _fold(self, tick: Tick, index: int, event_time_us: int) -> None:
        start_us = minute_of(tick.ts_us, tick.kind)
        end_us = start_us + MINUTE
        bar = self.bars.get((tick.symbol, start_us))
        if (bar is None or bar.closed) and self._is_too_late(tick.symbol, start_us, event_time_us):
            self.counts["too_late"] += 1
            self.dead.append((tick.symbol, self.rules.channels[index], tick.ts_us))
            return
        owner, kind = (bar.owner, bar.kind) if bar is not None else self._owner(tick.symbol, start_us)
        if owner != index:
            self.counts["not_owner"] += 1
            return
        if kind != tick.kind:
            self.counts["other_kind"] += 1
            return
        if bar is not None and is_repeat(tick, bar):
            self.counts["repeats"] += 1
            return
        rights = rights_of(tick, self.rules)
        if not any(rights):
            self.counts["condition_excluded"] += 1
            return
        self.counts["folded"] += 1
        if bar is None:
            bar = Bar(tick.symbol, start_us, owner, kind)
            self.bars[tick.symbol, start_us] = bar
            bar.ticks.append((tick, rights))
            if event_time_us >= end_us + self.rules.lateness_us(kind):
                self._emit_closed(bar)
            else:
                self.open.append(bar)
            return
        had_row = bar.has_row()
        bar.ticks.append((tick, rights))
        if bar.closed:
            self.counts["revised"] += 1
            if had_row:
                bar.revision += 1
                bar.quality |= LATE_REVISED
            self._emit(bar, "bars_revised" if had_row else "bars", [(tick, rights)])

    def _is_too_late(self, symbol: str, start_us: int, event_time_us: int) -> bool:
        if event_time_us > start_us + MINUTE + self.rules.revise_us:
            return True
        return any(
            bar.symbol == symbol and bar.closed and bar.start_us >= start_us and self._is_behind(bar)
            for bar in self.bars.values()
        )

    def _is_behind(self, bar: Bar) -> bool:
        event_time_us = self.channels[bar.owner].event_time_us
        return event_time_us is not None and event_time_us > bar.end_us + self.rules.revise_us

    def _close(self, index: int, event_time_us: int) -> None:
        closing = [
            bar
            for bar in self.open
            if bar.owner == index and event_time_us >= bar.end_us + self.rules.lateness_us(bar.kind)
        ]
        if closing:
            self.open = [bar for bar in self.open if bar not in closing]
        for bar in sorted(closing, key=lambda bar: bar.start_us):
            self._emit_closed(bar)

    def _emit_closed(self, bar: Bar) -> None:
        bar.closed = True
        if self._is_short(bar):
            bar.quality |= GAP
        self._emit(bar, "bars", bar.ticks)

    def _emit(self, bar: Bar, counter: str, fresh: list[tuple[Tick, Rights]]) -> None:
        """Emit the bar's row; without one, the volume of the `fresh` ticks is counted apart."""
        row = self._row(bar)
        if row is None:
            self.counts["volume_without_bar"] += sum(tick.volume for tick, rights in fresh if rights.volume)
        else:
            self.counts[counter] += 1
            self.emitted.append(row)

    def _row(self, bar: Bar, flag: int = 0) -> Row | None:
        """Fold the bar's ticks; None if no print may set a price."""
        prints = [tick for tick, rights in bar.ticks if rights.high_low]
        if not prints:
            return None
        ends = [tick for tick, rights in bar.ticks if rights.open_close] or prints
        first = min(ends, key=lambda tick: tick.ts_us)
        last = max(reversed(ends), key=lambda tick: tick.ts_us)
        seen = [price for tick in prints for price in prices_of(tick)]
        counted = [tick for tick, rights in bar.ticks if rights.volume]
        volume = sum(tick.volume for tick in counted)
        notional = math.fsum(present(tick.vwap, tick.close, tick.price) * tick.volume for tick in counted)
        flags = [flag for low, high, flag in self.channels[bar.owner].flagged if low <= bar.start_us <= high]
        return Row(
            symbol=bar.symbol,
            ts_us=bar.start_us,
            open=self._rounded(present(first.open, first.price)),
            high=self._rounded(max(seen)),
            low=self._rounded(min(seen)),
            close=self._rounded(present(last.close, last.price)),
            volume=volume,
            vwap=notional / volume if volume else NAN,
            trades=len(bar.ticks),
            revision=bar.revision,
            quality=bar.quality | flag | sum(set(flags)),
            open_us=first.ts_us,
            close_us=last.ts_us,
        )

    def _rounded(self, price: float) -> float:
        if self.rules.price_scale is None:
            return price
        return float(Decimal(repr(price)).quantize(Decimal(1).scaleb(-self.rules.price_scale), ROUND_HALF_UP))

    def _forget(self, before_us: int, after_us: int) -> None:
        opens = [opens_us for opens_us, _ in self.rules.regular]
        for previous, opening in pairwise(opens):
            if before_us < opening <= after_us:
                busy = {bar.symbol for bar in self.open}
                for symbol in [name for name, heard in self.heard.items() if max(heard.values()) < previous]:
                    if symbol not in busy:
                        del self.heard[symbol]
                        self.day_volumes.pop(symbol, None)
                        self.bars = {key: bar for key, bar in self.bars.items() if bar.symbol != symbol}


def present(*prices: float) -> float:
    """The first that is not absent."""
    return next(price for price in prices if not math.isnan(price))


def prices_of(tick: Tick) -> list[float]:
    every = (tick.high, tick.low, tick.open, tick.close, tick.price)
    return [price for price in every if not math.isnan(price)]


def is_repeat(tick: Tick, bar: Bar) -> bool:
    """An aggregate is known by its stamp, a trade by stamp and `seq`; a trade without `seq` never repeats."""
    stamps = [folded.ts_us for folded, _ in bar.ticks]
    if tick.kind == "T":
        if tick.seq == -1 or not stamps:
            return False
        newest = max((folded for folded, _ in reversed(bar.ticks)), key=lambda folded: folded.ts_us)
        return (tick.ts_us, tick.seq) == (newest.ts_us, newest.seq)
    if tick.ts_us % SECOND == 0:
        return tick.ts_us in stamps
    odd = [ts_us for ts_us in stamps if ts_us % SECOND]
    return bool(odd) and tick.ts_us == max(odd)


def rights_of(tick: Tick, rules: Rules) -> Rights:
    """What the tick may set: a field is set if every known condition allows it."""
    regular = any(opens_us <= tick.ts_us < closes_us for opens_us, closes_us in rules.regular)
    ids = {one for one in tick.conditions if one != 12 or regular}
    return Rights(not ids & BLOCKED_HIGH_LOW, not ids & BLOCKED_OPEN_CLOSE, not ids & BLOCKED_VOLUME)
