"""The only way from one stage to the next: a bounded queue with an end.

`asyncio.Queue` has no end before Python 3.13, and its `shutdown` wakes a waiting producer with the item lost; here a
producer that waits keeps its item, and what was put before `close` can always be read.
"""

import asyncio
from collections import deque
from typing import Generic, Self, TypeVar

from tickstockpl.errors import ClosedChannel

T = TypeVar("T")


class Channel(Generic[T]):
    """A first-in, first-out queue of at most `capacity` items, for tasks of one event loop.

    capacity: items; at least 1.
    name: what messages and metrics call it.
    producers: how many stages put into it, each of which closes it once; it ends with the last of them.
    """

    def __init__(self, capacity: int, name: str, *, producers: int = 1) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, was {capacity}")
        self.capacity = capacity
        self.name = name
        self._producers = producers
        self._items: deque[T] = deque()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._putters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        """Always true: an empty channel is still a channel."""
        return True

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Channel {self.name} {len(self)}/{self.capacity} {state}>"

    @property
    def closed(self) -> bool:
        """True after `close`; items may still be waiting to be read."""
        return self._closed

    async def put(self, item: T) -> None:
        """Append `item`, waiting while the channel is full.

        Raises ClosedChannel if the channel is closed, also when that happens during the wait; the item is then not in.
        """
        while not self.put_nowait(item):
            await self._wait(self._putters)

    def put_nowait(self, item: T) -> bool:
        """Append `item` if there is room; False means full, and the caller keeps the item.

        Raises ClosedChannel after `close`.
        """
        if self._closed:
            raise ClosedChannel(f"channel {self.name} is closed")
        if len(self._items) >= self.capacity:
            return False
        self._items.append(item)
        _wake_one(self._getters)
        return True

    async def get(self) -> T:
        """Take the oldest item, waiting for one.

        Raises ClosedChannel when the channel is closed and empty.
        """
        while not self._items:
            if self._closed:
                raise ClosedChannel(f"channel {self.name} is closed")
            await self._wait(self._getters)
        item = self._items.popleft()
        _wake_one(self._putters)
        return item

    def take(self, most: int) -> list[T]:
        """What is there, oldest first, at most so many items; empty if that is nothing."""
        taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        for _ in taken:
            _wake_one(self._putters)
        return taken

    async def get_within(self, seconds: float) -> T | None:
        """Take the oldest item, or None when `seconds` have passed without one. No item is lost to the timeout."""
        try:
            async with asyncio.timeout(seconds):
                return await self.get()
        except TimeoutError:
            return None

    def close(self) -> None:
        """A producer has ended; the last one ends the channel: no further `put`, what is in it can still be read.

        A further call changes nothing.
        """
        self._producers -= 1
        if self._producers > 0:
            return
        self._closed = True
        for waiters in (self._getters, self._putters):
            while waiters:
                _wake_one(waiters)

    async def aclose(self) -> None:
        """`close`, for `contextlib.aclosing`."""
        self.close()

    def __aiter__(self) -> Self:
        """Every item until the channel is closed and empty."""
        return self

    async def __anext__(self) -> T:
        try:
            return await self.get()
        except ClosedChannel:
            raise StopAsyncIteration from None

    async def _wait(self, waiters: deque[asyncio.Future[None]]) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                _wake_one(waiters)  # the wake-up came together with the cancellation: it belongs to the next in line
            elif waiter in waiters:
                waiters.remove(waiter)
            raise


def _wake_one(waiters: deque[asyncio.Future[None]]) -> None:
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return
