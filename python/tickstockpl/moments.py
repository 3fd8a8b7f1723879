"""Moments as the service counts them, in µs since 1970 UTC, and as Python's own `datetime`. Exact both ways."""

from datetime import UTC, datetime, timedelta

MINUTE_US = 60_000_000

EPOCH_2000_US = 946_684_800_000_000
"""2000-01-01 UTC: where PostgreSQL counts from."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_at(us: int) -> datetime:
    """The moment, in UTC."""
    return EPOCH + timedelta(microseconds=us)


def us_of(moment: datetime) -> int:
    """µs since 1970 of a moment that knows its zone."""
    return (moment - EPOCH) // timedelta(microseconds=1)
