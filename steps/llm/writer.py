"""Puts replies into the cache from a thread of its own: the event loop never waits for the disk, each request does."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from steps.llm.cache import ReplyCache

#: Replies of one transaction at most.
_MOST_AT_ONCE = 1024


class _Put(NamedTuple):
    """A reply, and what waits until it is stored."""

    key: str
    reply: dict[str, Any]
    stored: asyncio.Future[None]


class ReplyWriter:
    """Commits what has come in as soon as the last commit is done: one reply at a quiet time, many together at a busy.

    Belongs to one event loop. Whoever puts a reply waits until it is stored before asking for the next one, so that
    no more replies than requests may be in flight are ever paid for and not kept, also when the process is killed.
    """

    def __init__(self, cache: ReplyCache) -> None:
        self._cache = cache
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Put | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="reply-writer", daemon=True)
        self._thread.start()

    async def put(self, key: str, reply: dict[str, Any]) -> None:
        """Return when the reply is stored. It is stored, too, if the wait for it is cancelled.

        Raises:
            InputError: if the cache cannot be written to.
        """
        stored: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Put(key, reply, stored))
        await stored

    def close(self) -> None:
        """Wait until all that was handed over is stored, or has failed."""
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        is_open = True
        while is_open:
            taken = [self._queue.get()]
            while len(taken) < _MOST_AT_ONCE and not self._queue.empty():
                taken.append(self._queue.get())
            is_open = None not in taken
            puts = [one for one in taken if one is not None]
            if not puts:
                continue
            error: BaseException | None = None
            try:
                self._cache.put_many((one.key, one.reply) for one in puts)
            except BaseException as failed:
                error = failed
            # An interrupted run's loop may be closed by now: nobody waits any longer.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_tell, puts, error)


def _tell(puts: Sequence[_Put], error: BaseException | None) -> None:
    for one in puts:
        if one.stored.done():  # the wait was cancelled
            continue
        if error is None:
            one.stored.set_result(None)
        else:
            one.stored.set_exception(error)
