"""Messages that wait for their turn on one channel."""

from collections.abc import Iterator

from tickstockpl.bulletin import Bulletin


def messages(name: str, count: int, made: list[bytes] | None = None) -> Iterator[bytes]:
    for n in range(count):
        message = f"{name}{n}".encode()
        if made is not None:
            made.append(message)
        yield message


def sent(bulletin: Bulletin, seconds: float, step_s: float = 0.01) -> list[tuple[float, bytes]]:
    """What goes out in so long, each with its time."""
    went = []
    for step in range(round(seconds / step_s)):
        now_s = step * step_s
        came_s, taken = bulletin.take(now_s)
        if taken:
            bulletin.settle(came_s, len(taken), [], now_s)
        went += [(now_s, message) for message in taken]
    return went


def test_a_minutes_messages_go_out_in_order_at_the_pace_and_the_rest_expires() -> None:
    bulletin = Bulletin("c", 80.0, 2.0)
    made: list[bytes] = []
    bulletin.add(1000, messages("a", 1000, made), 0.0)
    went = sent(bulletin, 3.0)
    assert [message for _, message in went] == made == list(messages("a", len(made)))
    assert 150 <= len(went) <= 165
    assert all(later - earlier >= 0.24 for (earlier, _), (later, _) in zip(went, went[20:], strict=False))
    assert bulletin.expired == 1000 - len(went)
    assert len(bulletin) == 0
    assert bulletin.sent == len(went)


def test_what_redis_refused_goes_first_next_time_and_in_order() -> None:
    bulletin = Bulletin("c", 80.0, 60.0)
    bulletin.add(3, messages("a", 3), 0.0)
    bulletin.add(2, messages("b", 2), 0.0)
    came_s, taken = bulletin.take(0.0)
    assert taken == [b"a0", b"a1", b"a2"]
    bulletin.settle(came_s, 3, taken[1:], 0.0)
    assert (bulletin.sent, len(bulletin)) == (1, 4)
    assert [message for _, message in sent(bulletin, 1.0)] == [b"a1", b"a2", b"b0", b"b1"]
    assert bulletin.sent == 5


def test_a_refused_message_keeps_its_age() -> None:
    bulletin = Bulletin("c", 80.0, 10.0)
    bulletin.add(1, messages("a", 1), 0.0)
    came_s, taken = bulletin.take(0.0)
    bulletin.settle(came_s, 1, taken, 9.0)
    bulletin.add(1, messages("b", 1), 9.0)
    assert len(bulletin) == 2
    bulletin.expire(10.0)
    assert (len(bulletin), bulletin.expired) == (1, 1)


def test_nothing_waits_for_nothing() -> None:
    bulletin = Bulletin("c", 80.0, 10.0)
    bulletin.add(0, messages("a", 0), 0.0)
    assert not bulletin
    assert bulletin.take(0.0) == (0.0, [])
    assert bulletin.wait_s(0.0) == 0.0
