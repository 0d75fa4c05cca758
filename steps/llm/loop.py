"""Runs asynchronous work to its end from synchronous code, and lets it tidy up when the run is interrupted."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

#: Seconds after which a busy event loop lets the thread in that stores replies. With Python's own 5 ms, 256 requests in
#: flight get a tenth less done.
_SWITCH_INTERVAL_S = 0.0005


def run_to_end(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the work in an event loop, in a thread of its own where one is running already (a notebook, a server).

    On Ctrl-C or SIGTERM the work is cancelled, tidies up, and then the process gets what it was sent.
    """
    switch_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(min(switch_interval_s, _SWITCH_INTERVAL_S))
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _run_here(work)
    else:
        _run_in_thread(work)
    finally:
        sys.setswitchinterval(switch_interval_s)


def _run_here(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the work in this thread. Ctrl-C cancels it by itself; SIGTERM does where nobody else handles it."""
    is_terminated = False

    async def main() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def terminate() -> None:
            nonlocal is_terminated
            is_terminated = True
            if task is not None:
                task.cancel()

        is_ours = threading.current_thread() is threading.main_thread()
        if is_ours := is_ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            loop.add_signal_handler(signal.SIGTERM, terminate)
        try:
            await work()
        finally:
            if is_ours:
                loop.remove_signal_handler(signal.SIGTERM)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(main())
    except asyncio.CancelledError:
        if not is_terminated:
            raise
        signal.raise_signal(signal.SIGTERM)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's factory where it is installed; None is asyncio's own loop, which costs about the same here."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _run_in_thread(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    failed: list[BaseException] = []
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def main() -> None:
        running.append((asyncio.get_running_loop(), asyncio.current_task()))
        await work()

    def target() -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(main())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=target, name="chat-client")
    thread.start()
    try:
        thread.join()
    except BaseException:
        for loop, task in running:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if failed:
        raise failed[0]
