"""The keys behind AppV2's pattern page, on a real Redis, read as AppV2 reads them."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis as redis_py
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

import appv2_readers as appv2
from event_samples import event, events
from tickstockpl.clock import ManualClock
from tickstockpl.events import Event, Expiry
from tickstockpl.pattern_cache import INDEXES, PatternCache

pytestmark = pytest.mark.anyio

T0_US = 1_757_600_460_000_000
TTL_S = 3600.0


@pytest.fixture
def appv2_redis(redis: str) -> Iterator[Any]:
    """The client as AppV2 makes it."""
    with contextlib.closing(redis_py.Redis.from_url(redis, decode_responses=True)) as client:
        yield client


def names(appv2_redis: Any) -> dict[str, set[str]]:
    """What each index holds, as keys of entries; fails on a name that no entry could have."""
    found: dict[str, set[str]] = {}
    for index in INDEXES:
        found[index] = set()
        for member in appv2_redis.zrange(index, 0, -1):
            key = member
            if index.endswith(("symbol", "pattern_type")):
                first = member.split(":")[0]
                key = member.removeprefix(f"{first}:")
                symbol, pattern, _ = key.split(":")
                assert first == (symbol if index.endswith("symbol") else pattern)
            found[index].add(key)
    return found


def consistent(appv2_redis: Any) -> set[str]:
    """The entries, after checking that the hashes and the four sets name the same ones."""
    hashes = {key.removeprefix("tickstock:patterns:") for key in appv2_redis.keys("tickstock:patterns:*")}
    for index, found in names(appv2_redis).items():
        assert found == hashes, index
    return hashes


def two_runs() -> tuple[PatternCache, PatternCache]:
    """What an earlier run and the one after it remember, at one time."""
    clock = ManualClock(T0_US)
    return PatternCache(5000, TTL_S, clock), PatternCache(5000, TTL_S, clock)


async def test_scan_shows_the_event_and_an_answer_cached_before_is_dropped(redis: str, appv2_redis: Any) -> None:
    clock = ManualClock(T0_US + 2_000_000)
    cache = PatternCache(5000, TTL_S, clock)
    appv2_redis.set("tickstock:api_cache:scan:1", "old")
    appv2_redis.set("other", "stays")
    cache.add(events(event("ZZTEST1", pattern="VolumeSpike")))
    async with Redis.from_url(redis) as client:
        assert await cache.upkeep(client) == 1
        appv2_redis.set("tickstock:api_cache:scan:2", "fresh")
        assert await cache.upkeep(client) == 0
    row = appv2.scan(appv2_redis, clock.now_us() / 1e6)[0]
    assert row == {
        "symbol": "ZZTEST1", "pattern": "VolumeSp", "conf": 0.85, "rs": "1.0x", "vol": "2.1x", "price": "$227.55",
        "chg": "+0.2%", "time": "2s", "exp": "59m", "source": "intraday",
    }  # fmt: skip
    key = "ZZTEST1:VolumeSpike:1757600460"
    assert consistent(appv2_redis) == {key}
    assert appv2_redis.hget(f"tickstock:patterns:{key}", "cached_at") == "1757600462.0"
    for name in (f"tickstock:patterns:{key}", *INDEXES):
        assert 3590 <= appv2_redis.ttl(name) <= 3600
    assert appv2_redis.get("tickstock:api_cache:scan:1") is None
    assert (appv2_redis.get("tickstock:api_cache:scan:2"), appv2_redis.get("other")) == ("fresh", "stays")


async def test_expired_entries_leave_every_set_by_name_even_after_appv2s_own_cleanup(
    redis: str, appv2_redis: Any
) -> None:
    clock = ManualClock(T0_US)
    cache = PatternCache(5000, TTL_S, clock)
    cache.add(events(event("X:BTCUSD")))
    cache.add(events(event("ZZTEST2", bar_end_us=T0_US + 60_000_000)))
    async with Redis.from_url(redis) as client:
        await cache.upkeep(client)
        clock.advance(TTL_S)
        assert appv2.cleanup(appv2_redis, clock.now_us() / 1e6) == 1
        assert appv2_redis.zcard("tickstock:indexes:symbol") == 2
        await cache.upkeep(client)
    assert consistent(appv2_redis) == {"ZZTEST2:Hammer:1757600520"}


async def test_superseded_entry_goes_and_its_successor_comes(redis: str, appv2_redis: Any) -> None:
    clock = ManualClock(T0_US)
    cache = PatternCache(5000, TTL_S, clock)
    first = event("ZZTEST1")
    cache.add(events(first))
    async with Redis.from_url(redis) as client:
        await cache.upkeep(client)
        cache.add(events(replace(event("ZZTEST1"), pattern="Doji", revision=1, supersedes=first.event_id)))
        await cache.upkeep(client)
    assert consistent(appv2_redis) == {"ZZTEST1:Doji:1757600460"}


async def test_an_entry_that_another_event_has_taken_over_outlives_the_one_before(redis: str, appv2_redis: Any) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US))
    first = event("ZZTEST1", pattern="Doji")
    flipped = event("ZZTEST1", pattern="Doji", direction=-1, revision=1, supersedes=first.event_id)
    other = event("ZZTEST1", revision=1, supersedes=first.event_id)
    cache.add(events(first))
    cache.add(events(flipped, other))
    cache.withdraw(Expiry(first.event_id, first.symbol, first.pattern, first.bar_end_us))
    async with Redis.from_url(redis) as client:
        await cache.upkeep(client)
        assert consistent(appv2_redis) == {"ZZTEST1:Doji:1757600460", "ZZTEST1:Hammer:1757600460"}
        cache.withdraw(Expiry(flipped.event_id, flipped.symbol, flipped.pattern, flipped.bar_end_us))
        await cache.upkeep(client)
    assert consistent(appv2_redis) == {"ZZTEST1:Hammer:1757600460"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 30), st.integers(60, 100)), max_size=25),
            st.sampled_from([0.0, 1.0, 60.0, 1800.0]),
            st.sampled_from(["upkeep", "upkeep", "restart", "flush", "nothing"]),
        ),
        min_size=1,
        max_size=8,
    )
)
async def test_after_upkeep_redis_holds_exactly_the_best_unexpired_entries(
    redis: str, appv2_redis: Any, steps: list[tuple[list[tuple[int, int]], float, str]]
) -> None:
    appv2_redis.flushdb()
    clock, capacity = ManualClock(T0_US), 10
    cache = PatternCache(capacity, TTL_S, clock)
    async with Redis.from_url(redis) as client:
        for rows, pause_s, act in steps:
            minute_us = clock.now_us() // 60_000_000 * 60_000_000
            for symbol, percent in rows:
                cache.add(events(event(f"ZZ{symbol}", bar_end_us=minute_us, confidence=percent / 100)))
            clock.advance(pause_s)
            if act == "restart":
                cache = PatternCache(capacity, TTL_S, clock)
                await cache.load(client)
            elif act == "flush":
                appv2_redis.flushdb()
                await cache.load(client)
            if act != "nothing":
                await cache.upkeep(client)
                entries = consistent(appv2_redis)
                assert len(entries) == len(cache) <= capacity
                assert len(appv2.scan(appv2_redis, clock.now_us() / 1e6)) == len(entries)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(
        st.tuples(st.lists(st.integers(60, 66), max_size=25), st.sampled_from([1.0, 60.0, 1800.0])), max_size=8
    )
)
async def test_what_is_kept_is_the_best_of_all_that_came_and_the_rest_is_counted(
    redis: str, appv2_redis: Any, rounds: list[tuple[list[int], float]]
) -> None:
    appv2_redis.flushdb()
    clock, capacity = ManualClock(T0_US), 10
    cache = PatternCache(capacity, TTL_S, clock)
    kept: list[tuple[float, int, str]] = []
    came = expired = evicted = 0
    async with Redis.from_url(redis) as client:
        for percents, pause_s in rounds:
            at_s = clock.now_us() // 60_000_000 * 60
            for percent in percents:
                came += 1
                cache.add(events(event(f"ZZ{came}", bar_end_us=at_s * 1_000_000, confidence=percent / 100)))
                kept.append((percent / 100, at_s, f"ZZ{came}:Hammer:{at_s}"))
            fresh = [entry for entry in kept if (entry[1] + TTL_S) * 1e6 > clock.now_us()]
            expired += len(kept) - len(fresh)
            kept = sorted(fresh)[-capacity:]
            evicted += len(fresh) - len(kept)
            await cache.upkeep(client)
            assert consistent(appv2_redis) == {key for _, _, key in kept}
            assert (cache.evicted, len(cache)) == (evicted, came - expired - evicted)
            clock.advance(pause_s)


async def test_best_entries_are_kept_and_the_rest_never_reaches_redis(redis: str, appv2_redis: Any) -> None:
    cache = PatternCache(50, TTL_S, ManualClock(T0_US))
    for n in range(400):
        cache.add(events(event(f"ZZ{n}", confidence=0.6 + n / 1000)))
    async with Redis.from_url(redis) as client:
        assert await cache.upkeep(client) == 50
    assert consistent(appv2_redis) == {f"ZZ{n}:Hammer:1757600460" for n in range(350, 400)}
    assert cache.evicted == 350


async def test_a_days_events_keep_nothing_out_once_they_are_as_old_as_a_minutes_may_be(
    redis: str, appv2_redis: Any
) -> None:
    clock, day_us = ManualClock(T0_US), 16 * 3_600_000_000
    cache = PatternCache(20, TTL_S, clock)
    daily = [
        event(f"D{n}", bar_start_us=T0_US - day_us, timeframe="daily", confidence=0.9 + n / 1000) for n in range(20)
    ]
    cache.add(events(*daily))

    def shown() -> set[str]:
        return {key.split(":")[0] for key in consistent(appv2_redis)}

    def lasts_s(symbol: str) -> int:
        (name,) = appv2_redis.keys(f"tickstock:patterns:{symbol}:*")
        return int(appv2_redis.ttl(name))

    async with Redis.from_url(redis) as client:
        await cache.upkeep(client)
        assert 57_590 <= lasts_s("D0") <= 57_600
        clock.advance(TTL_S / 2)
        cache.add(events(event("EARLY", bar_end_us=clock.now_us(), confidence=0.85)))
        await cache.upkeep(client)
        assert shown() == {f"D{n}" for n in range(20)}, "the best is kept"
        clock.advance(TTL_S)
        for n in range(5):
            cache.add(events(event(f"M{n}", bar_end_us=clock.now_us(), confidence=0.7 + n / 1000)))
        await cache.upkeep(client)
        assert shown() == {f"D{n}" for n in range(5, 20)} | {f"M{n}" for n in range(5)}
        assert 3_590 <= lasts_s("M0") <= 3_600
        assert all(appv2_redis.ttl(index) > 50_000 for index in INDEXES), "they name what lasts longest, too"
        later = [event(f"N{n}", bar_end_us=clock.now_us(), confidence=0.6 + n / 1000) for n in range(18)]
        cache.add(events(*later))
        await cache.upkeep(client)
        assert shown() == {f"M{n}" for n in range(5)} | {f"N{n}" for n in range(3, 18)}
        clock.advance(TTL_S)
        assert await cache.upkeep(client) == 20
        assert shown() == set()


async def test_entries_of_an_earlier_run_are_adopted_and_broken_names_removed(redis: str, appv2_redis: Any) -> None:
    clock = ManualClock(T0_US)
    earlier = PatternCache(5000, TTL_S, clock)
    for n in range(600):
        earlier.add(events(event(f"ZZ{n}")))
    async with Redis.from_url(redis) as client:
        await earlier.upkeep(client)
        appv2_redis.delete("tickstock:patterns:ZZ1:Hammer:1757600460")
        appv2_redis.hset("tickstock:patterns:ZZ2:Hammer:1757600460", "data", '{"symbol": "ZZ2"}')
        appv2_redis.zrem("tickstock:indexes:time", "ZZ3:Hammer:1757600460")
        appv2_redis.zadd("tickstock:indexes:symbol", {"ZZ9999:ZZ9999:Hammer:1757500000": 1, "somebody else's": 1})
        later = PatternCache(5000, TTL_S, clock)
        await later.load(client)
        await later.upkeep(client)
        assert appv2_redis.zrem("tickstock:indexes:symbol", "somebody else's") == 1
        assert len(consistent(appv2_redis)) == len(later) == 598
        clock.advance(TTL_S)
        await later.upkeep(client)
    assert consistent(appv2_redis) == set()


def expiry(one: Event) -> Expiry:
    return Expiry(one.event_id, one.symbol, one.pattern, one.bar_end_us)


async def test_what_was_withdrawn_or_superseded_while_redis_was_away_is_not_adopted_again(
    redis: str, appv2_redis: Any
) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US))
    gone, replaced, other = event("ZZTEST1"), event("ZZTEST2"), event("ZZTEST3")
    cache.add(events(gone, replaced, other))
    async with Redis.from_url(redis) as client:
        await cache.upkeep(client)
        cache.withdraw(expiry(gone))
        cache.add(events(replace(event("ZZTEST2"), pattern="Doji", revision=1, supersedes=replaced.event_id)))
        await cache.load(client)
        assert len(cache) == 2
        await cache.upkeep(client)
    assert consistent(appv2_redis) == {"ZZTEST2:Doji:1757600460", "ZZTEST3:Hammer:1757600460"}


@pytest.mark.parametrize("first", ["withdraw", "load"])
async def test_what_an_earlier_run_wrote_and_this_one_withdraws_goes_whether_it_was_adopted_or_not(
    redis: str, appv2_redis: Any, first: str
) -> None:
    earlier, later = two_runs()
    gone = event("ZZTEST1")
    earlier.add(events(gone, event("ZZTEST2")))
    async with Redis.from_url(redis) as client:
        await earlier.upkeep(client)
        if first == "load":
            await later.load(client)
        later.withdraw(expiry(gone))
        if first == "withdraw":
            await later.load(client)
        await later.upkeep(client)
    assert consistent(appv2_redis) == {"ZZTEST2:Hammer:1757600460"}


async def test_a_withdrawn_entry_that_this_run_never_held_leaves_redis(redis: str, appv2_redis: Any) -> None:
    earlier, later = two_runs()
    gone = event("ZZTEST1")
    earlier.add(events(gone))
    async with Redis.from_url(redis) as client:
        await later.load(client)
        await earlier.upkeep(client)
        later.withdraw(expiry(gone))
        await later.upkeep(client)
    assert consistent(appv2_redis) == set()


async def test_withdrawals_are_not_remembered_beyond_the_life_of_an_entry(redis: str) -> None:
    clock = ManualClock(T0_US)
    cache = PatternCache(5000, TTL_S, clock)
    cache.withdraw(expiry(event("ZZTEST1")))
    clock.advance(TTL_S)
    async with Redis.from_url(redis) as client:
        assert await cache.upkeep(client) == 0


def calls(appv2_redis: Any, command: str) -> int:
    found = appv2_redis.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})
    return int(found["calls"])


def crowd(appv2_redis: Any, count: int) -> None:
    """Keys that are nobody's business of ours."""
    fill = "for n = 1, tonumber(ARGV[1]) do redis.call('SET', 'other:' .. n, n) end"
    appv2_redis.eval(fill, 0, count)


async def test_entries_are_written_and_removed_a_chunk_a_step_and_only_once(redis: str, appv2_redis: Any) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US))
    many = [event(f"ZZ{n}") for n in range(600)]
    async with Redis.from_url(redis) as client:

        async def round_of_steps() -> list[int]:
            cache.begin()
            done = []
            while cache.in_round:
                done.append(await cache.step(client))
            return [count for count in done if count]

        cache.add(events(*many))
        assert await round_of_steps() == [250, 250, 100]
        for one in many:
            cache.withdraw(expiry(one))
        assert await round_of_steps() == [250, 250, 100]
        assert await round_of_steps() == []
    assert consistent(appv2_redis) == set()


async def test_what_changes_between_two_steps_of_a_round_is_right_in_the_end(redis: str, appv2_redis: Any) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US))
    many = [event(f"ZZ{n}") for n in range(600)]
    cache.add(events(*many))
    async with Redis.from_url(redis) as client:
        cache.begin()
        while await cache.step(client) == 0:
            assert cache.in_round
        cache.withdraw(expiry(many[0]))
        cache.withdraw(expiry(many[599]))
        cache.add(events(replace(event("ZZ1"), confidence=0.9), event("ZZNEW")))
        await cache.upkeep(client)
    assert consistent(appv2_redis) == {f"ZZ{n}:Hammer:1757600460" for n in [*range(1, 599), "NEW"]}
    assert appv2_redis.zscore("tickstock:indexes:confidence", "ZZ1:Hammer:1757600460") == 0.9


async def test_a_walk_over_many_foreign_keys_takes_a_few_scans_a_step(redis: str, appv2_redis: Any) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US))
    crowd(appv2_redis, 20_000)
    appv2_redis.mset({f"tickstock:api_cache:scan:{n}": "old" for n in range(300)})
    cache.add(events(event()))
    scans = []
    async with Redis.from_url(redis) as client:
        await cache.upkeep(client, walk=False)
        while cache.busy:
            before = calls(appv2_redis, "scan")
            await cache.step(client)
            scans.append(calls(appv2_redis, "scan") - before)
    assert max(scans) <= 4
    assert sum(scans) >= 20
    assert appv2_redis.dbsize() == 20_000 + len(INDEXES) + 1


async def test_a_change_during_a_walk_begins_another_after_it_and_nothing_else_does(
    redis: str, appv2_redis: Any
) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US))
    crowd(appv2_redis, 20_000)
    walks = 0
    async with Redis.from_url(redis) as client:

        async def walk(steps: int) -> int:
            """Until the end, or `steps`; returns how many were done."""
            done = 0
            while cache.busy and done < steps:
                await cache.step(client)
                done += 1
            return done

        cache.add(events(event("ZZTEST1")))
        await cache.upkeep(client, walk=False)
        assert await walk(2) == 2
        appv2_redis.set("tickstock:api_cache:scan:1", "of the first entry only")
        cache.add(events(event("ZZTEST2")))
        await cache.upkeep(client, walk=False)
        rest = await walk(1000)
        assert appv2_redis.get("tickstock:api_cache:scan:1") is None
        walks = rest
        cache.begin()
        assert await walk(1000) < 3 < walks
        assert consistent(appv2_redis) == {"ZZTEST1:Hammer:1757600460", "ZZTEST2:Hammer:1757600460"}


async def test_a_walk_that_redis_refuses_is_done_again_without_writing_again(redis: str, appv2_redis: Any) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US))
    appv2_redis.set("tickstock:api_cache:scan:1", "old")
    cache.add(events(event()))
    rights = {"enabled": True, "nopass": True, "keys": ["*"]}
    appv2_redis.acl_setuser("walker", **rights, commands=["+@all", "-scan"])
    try:
        async with Redis.from_url(redis, username="walker", password="any") as client:
            with pytest.raises(ResponseError):
                await cache.upkeep(client)
            appv2_redis.acl_setuser("walker", enabled=True, commands=["+scan"])
            assert await cache.upkeep(client) == 0
    finally:
        appv2_redis.acl_deluser("walker")
    assert appv2_redis.get("tickstock:api_cache:scan:1") is None


@pytest.mark.parametrize("change", [{"expires_at": 1e308}, {"expires_at": None}, {"confidence": 10**400}])
async def test_an_entry_whose_numbers_are_none_is_removed(redis: str, appv2_redis: Any, change: dict[str, Any]) -> None:
    earlier, later = two_runs()
    earlier.add(events(event("ZZTEST1"), event("ZZTEST2")))
    name = "tickstock:patterns:ZZTEST1:Hammer:1757600460"
    async with Redis.from_url(redis) as client:
        await earlier.upkeep(client)
        appv2_redis.hset(name, "data", json.dumps(json.loads(appv2_redis.hget(name, "data")) | change))
        await later.load(client)
        await later.upkeep(client)
    assert consistent(appv2_redis) == {"ZZTEST2:Hammer:1757600460"}


async def test_a_key_of_the_wrong_type_is_removed_and_the_others_are_adopted(redis: str, appv2_redis: Any) -> None:
    earlier, later = two_runs()
    earlier.add(events(*(event(f"ZZ{n}") for n in range(600))))
    async with Redis.from_url(redis) as client:
        await earlier.upkeep(client)
        appv2_redis.set("tickstock:patterns:ZZ1:Hammer:1757600460", "a string")
        await later.load(client)
        assert len(later) == 599
        await later.upkeep(client)
    assert len(consistent(appv2_redis)) == 599


async def test_an_index_of_the_wrong_type_is_said_after_all_others_are_read(redis: str, appv2_redis: Any) -> None:
    earlier, later = two_runs()
    earlier.add(events(event("ZZTEST1")))
    async with Redis.from_url(redis) as client:
        await earlier.upkeep(client)
        appv2_redis.set("tickstock:indexes:time", "somebody's string")
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await later.load(client)
        assert len(later) == 1


async def test_entries_that_redis_does_not_let_us_read_are_not_deleted(redis: str, appv2_redis: Any) -> None:
    earlier, later = two_runs()
    earlier.add(events(event("ZZTEST1")))
    async with Redis.from_url(redis) as client:
        await earlier.upkeep(client)
    appv2_redis.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-hget"])
    try:
        async with Redis.from_url(redis, username="reader", password="any") as client:
            with pytest.raises(ResponseError, match="permissions"):
                await later.load(client)
            await later.upkeep(client)
    finally:
        appv2_redis.acl_deluser("reader")
    assert consistent(appv2_redis) == {"ZZTEST1:Hammer:1757600460"}


async def test_event_already_expired_is_not_written(redis: str, appv2_redis: Any) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US + 3_600_000_000))
    cache.add(events(event()))
    async with Redis.from_url(redis) as client:
        assert await cache.upkeep(client) == 0
    assert appv2_redis.dbsize() == 0


async def test_refused_or_broken_upkeep_is_done_again(redis: str, appv2_redis: Any) -> None:
    cache = PatternCache(5000, TTL_S, ManualClock(T0_US))
    cache.add(events(event("ZZTEST1")))
    appv2_redis.set("tickstock:indexes:time", "somebody's string")
    async with Redis.from_url(redis) as client:
        with pytest.raises(ResponseError):
            await cache.upkeep(client)
        appv2_redis.delete("tickstock:indexes:time")
    async with Redis(port=1, retry=Retry(NoBackoff(), 0)) as nobody:
        with pytest.raises(RedisConnectionError):
            await cache.upkeep(nobody)
    cache.add(events(event("ZZTEST2")))
    async with Redis.from_url(redis) as client:
        await cache.upkeep(client)
    assert consistent(appv2_redis) == {"ZZTEST1:Hammer:1757600460", "ZZTEST2:Hammer:1757600460"}
