"""Puts replies into the cache from a thread of its own: the event loop never waits for the disk."""

from __future__ import annotations

import queue
import threading
from typing import Any

from steps.llm.cache import ReplyCache

#: Replies of one transaction at most.
_MOST_AT_ONCE = 1024


class ReplyWriter:
    """Commits what has come in as soon as the last commit is done: one reply at a quiet time, many together at a busy.

    `close` waits until all is stored; whoever reads the replies does so after it.
    """

    def __init__(self, cache: ReplyCache) -> None:
        self._cache = cache
        self._queue: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="reply-writer", daemon=True)
        self._thread.start()

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Hand over a reply.

        Raises:
            InputError: if the cache could not be written to.
        """
        if self.error is not None:
            raise self.error
        self._queue.put((key, reply))

    def close(self) -> None:
        """Wait until all replies are committed.

        Raises:
            InputError: if the cache could not be written to.
        """
        self._queue.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _write(self) -> None:
        is_open = True
        while is_open:
            pairs = [self._queue.get()]
            while len(pairs) < _MOST_AT_ONCE and not self._queue.empty():
                pairs.append(self._queue.get())
            is_open = None not in pairs
            replies = [pair for pair in pairs if pair is not None]
            try:
                if replies and self.error is None:
                    self._cache.put_many(replies)
            except BaseException as error:
                self.error = error
