import time

import pytest

from tickstockpl.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_reads_utc_microseconds_and_a_time_that_never_goes_back() -> None:
    clock: Clock = SystemClock()
    before_us, before_s = clock.now_us(), clock.monotonic_s()
    assert abs(before_us / 1e6 - time.time()) < 1
    assert clock.now_us() >= before_us
    assert clock.monotonic_s() >= before_s


def test_a_manual_clock_moves_both_times_only_when_told() -> None:
    clock = ManualClock(1_000_000)
    assert (clock.now_us(), clock.monotonic_s()) == (1_000_000, 0.0)
    clock.advance(2.5)
    assert (clock.now_us(), clock.monotonic_s()) == (3_500_000, 2.5)


def test_a_manual_clock_adds_up_small_steps_exactly() -> None:
    clock = ManualClock(0)
    for _ in range(1000):
        clock.advance(0.1)
    assert (clock.now_us(), clock.monotonic_s()) == (100_000_000, 100.0)


def test_a_manual_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match=r"seconds must be at least 0, was -1"):
        ManualClock(0).advance(-1)
