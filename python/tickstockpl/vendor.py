"""Minute bars from the vendor's own REST interface, by its `massive` client (the extra `[feed]`)."""

import importlib
import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from pydantic import SecretStr

from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.given import GivenBars

PACKAGE: Final = "massive"

_MINUTE_MS = 60_000
_ROWS = 50_000
"""The vendor's own limit of an answer: a day has 1,440 minutes, so that none is in parts."""


class Wanted(NamedTuple):
    """The minutes of one symbol that start in [first_us, last_us)."""

    symbol: str
    first_us: int
    last_us: int


class Agg(Protocol):
    """One bar as the client answers it; whatever the vendor leaves out is None."""

    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    vwap: float | None
    timestamp: int | None
    transactions: int | None


class Client(Protocol):
    """What we use of `massive.RESTClient`."""

    def list_aggs(
        self,
        ticker: str,
        multiplier: int,
        timespan: str,
        from_: int,
        to: int,
        *,
        adjusted: bool,
        sort: str,
        limit: int,
    ) -> Iterable[Agg]: ...


def client(key: SecretStr | None, base: str | None = None) -> Client:
    """The vendor's client; nothing is asked of the vendor yet.

    base: another address than the client's own.
    Raises SettingsError if the key or the package is missing.
    """
    if key is None:
        raise SettingsError("no bar file and no API key: name a file, or set MASSIVE_API_KEY to ask the vendor")
    if importlib.util.find_spec(PACKAGE) is None:
        raise SettingsError("the vendor's client is missing: pip install 'tickstockpl[feed]', or name a bar file")
    made: Client = importlib.import_module(PACKAGE).RESTClient(
        api_key=key.get_secret_value(), **({"base": base} if base else {})
    )
    return made


def fetch(source: Client, wanted: Sequence[Wanted], report: Callable[[], None]) -> GivenBars:
    """The bars of what is wanted, one request each; minutes without a trade are absent. Blocks.

    report: called after each request.
    Raises ServerError if the vendor cannot be asked or answers something else.
    """
    names: list[str] = []
    rows: list[tuple[float, ...]] = []
    for each in wanted:
        for row in _asked(source, each):
            names.append(each.symbol)
            rows.append(row)
        report()
    ts_us, o, h, l, c, volume, vwap, trades = zip(*rows, strict=True) if rows else ((),) * 8  # noqa: E741 - a price
    try:
        return GivenBars.of("the vendor", names, ts_us, (o, h, l, c), volume, vwap, trades)
    except SettingsError as error:
        raise ServerError(str(error)) from None


def _asked(source: Client, wanted: Wanted) -> Iterator[tuple[float, ...]]:
    bars = source.list_aggs(
        wanted.symbol,
        1,
        "minute",
        wanted.first_us // 1000,
        wanted.last_us // 1000 - _MINUTE_MS,  # the vendor includes the end
        adjusted=False,  # ticks are not
        sort="asc",
        limit=_ROWS,
    )
    exceptions: Any = importlib.import_module(f"{PACKAGE}.exceptions")
    urllib3: Any = importlib.import_module("urllib3.exceptions")
    try:
        for bar in bars:
            yield _row(bar, wanted.symbol)
    except (exceptions.AuthError, exceptions.BadResponse, urllib3.HTTPError) as error:
        raise ServerError(f"the vendor did not give the bars of {wanted.symbol}: {error}") from error


def _row(bar: Agg, symbol: str) -> tuple[float, ...]:
    """In the order of `given.COLUMNS`."""
    o, h, l, c, volume = bar.open, bar.high, bar.low, bar.close, bar.volume  # noqa: E741 - a price
    if bar.timestamp is None or o is None or h is None or l is None or c is None or volume is None:
        raise ServerError(f"the vendor gave a bar of {symbol} without its time, a price or the volume")
    vwap = math.nan if bar.vwap is None else bar.vwap
    return bar.timestamp * 1000, o, h, l, c, round(volume), vwap, -1 if bar.transactions is None else bar.transactions
