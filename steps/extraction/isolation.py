"""Readers in children that may be killed: a file that hangs, crashes or eats memory costs one ledger row.

A child is a Python of its own that reads one file after another (`reader_child`); requests and answers are JSON behind
their length, over pipes. Every format is read there, Markdown and plain text as well: the way over the pipes costs
0.3 ms of CPU a file (`benchmarks/results/extraction.md`), and an exception would leave the run open to what hangs in a
regular expression, YAML or a guess of the encoding.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from steps.extraction.reader_child import LENGTH_BYTES
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, Place
from steps.settings import Settings

#: The function that a child calls with (file, max_file_mb, name).
READER = "steps.extraction.documents:read_file"
#: Files handed out or answered ahead of the one that is due: one slow file does not stop the others.
MAX_AHEAD = 64
#: Bytes of an answer per character of text: JSON in ASCII writes some as 12.
BYTES_PER_CHARACTER = 12
#: A child is renewed after this many files, so that what libraries leak stays small.
FILES_PER_CHILD = 2_000
#: Seconds in which a child must have started: half a second on an idle core, a minute on a crowded machine.
START_TIMEOUT_S = 120.0
_CHUNK_BYTES = 1 << 18


class ReadLimits(Settings):
    """What reading one file may cost; above it the file becomes a ledger row."""

    timeout_s: float = Field(default=60.0, gt=0)
    """Seconds in which a file must be read, wall-clock; a hanging reader is killed then."""
    memory_mib: int = Field(default=2048, ge=128)
    """Memory that a reader may use beyond what it starts with, in MiB."""
    max_file_mb: float = Field(default=50.0, gt=0)
    """Largest file to read, in megabytes."""
    max_text_mb: float = Field(default=20.0, gt=0)
    """Most text that one file may give, in millions of characters."""
    workers: int = Field(default=2, ge=1, le=256)
    """Children that read at the same time."""


class FileRequest(NamedTuple):
    """One file to read, and its path within its source as readers see it."""

    file: Path
    name: str | None = None


Outcome = tuple[str, Extracted] | UnusableError


def read_files(
    files: Iterable[Path | FileRequest], limits: ReadLimits, reader: str = READER
) -> Iterator[tuple[Path, Outcome]]:
    """Read files in children; yield each with its format and text, or with why it is unusable, in the given order.

    Args:
        files: paths, or requests that say what a file is called in its source.
        limits: what one file may cost.
        reader: `module:function` that the children call, for tests.
    """
    todo = deque(file if isinstance(file, FileRequest) else FileRequest(file) for file in files)
    answers: dict[int, Outcome] = {}
    order: deque[tuple[int, Path]] = deque()
    pool = _Pool(limits, reader, min(limits.workers, len(todo)))
    number = 0
    try:
        while todo or order:
            while todo and len(order) < MAX_AHEAD and pool.has_free_child():
                request = todo.popleft()
                order.append((number, request.file))
                pool.start(number, request)
                number += 1
            answers.update(pool.wait())
            while order and order[0][0] in answers:
                due, file = order.popleft()
                yield file, answers.pop(due)
    finally:
        pool.close()


class _Pool:
    """Children, each with at most one file."""

    def __init__(self, limits: ReadLimits, reader: str, n_children: int) -> None:
        self._limits = limits
        self._reader = reader
        self._children: list[_Child] = []
        self._n_children = n_children

    def has_free_child(self) -> bool:
        return len(self._children) < self._n_children or any(child.is_free for child in self._children)

    def start(self, number: int, request: FileRequest) -> None:
        child = next((child for child in self._children if child.is_free), None)
        if child is None:
            child = _Child(self._limits, self._reader)
            self._children.append(child)
        child.start(number, request)

    def wait(self) -> dict[int, Outcome]:
        """Wait until a child answers, dies or runs out of time; return what came of its file."""
        busy = [child for child in self._children if not child.is_free]
        with selectors.DefaultSelector() as selector:
            for child in busy:
                selector.register(child.output, selectors.EVENT_READ, child)
            soonest = min((child.deadline for child in busy), default=time.monotonic())
            ready = [key.data for key, _ in selector.select(max(0.0, soonest - time.monotonic()))]
        found: dict[int, Outcome] = {}
        for child in busy:
            outcome = child.receive() if child in ready else None
            if outcome is None and time.monotonic() >= child.deadline:
                child.kill()
                outcome = UnusableError(
                    ExtractDrop.READER_TIMED_OUT, f"not read within timeout_s={self._limits.timeout_s:g}"
                )
            if outcome is not None:
                found[child.number] = outcome
                child.finish()
                if child.is_spent:
                    child.close()
                    self._children.remove(child)
        return found

    def close(self) -> None:
        for child in self._children:
            child.kill() if not child.is_free else child.close()


class _Child:
    """One reading process and the file that it has."""

    def __init__(self, limits: ReadLimits, reader: str) -> None:
        self._limits = limits
        self._process = subprocess.Popen(  # noqa: S603 (our own module, with no shell)
            [sys.executable, "-m", "steps.extraction.reader_child", reader, limits.model_dump_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        )
        pipes: tuple[Any, Any] = (self._process.stdin, self._process.stdout)
        self._input, self.output = pipes
        os.set_blocking(self.output.fileno(), False)
        self._buffer = bytearray()
        self._n_files = 0
        self._is_ready = False
        self.number = -1
        self.deadline = 0.0
        self.is_free = True
        self.is_spent = False

    def start(self, number: int, request: FileRequest) -> None:
        self.number, self.is_free = number, False
        # The first file's time runs from when the child has started.
        self.deadline = time.monotonic() + (self._limits.timeout_s if self._is_ready else START_TIMEOUT_S)
        self._n_files += 1
        message = json.dumps({"file": os.fspath(request.file), "name": request.name}).encode()
        with suppress(BrokenPipeError):  # it died; receiving says how
            self._input.write(len(message).to_bytes(LENGTH_BYTES, "little") + message)
            self._input.flush()

    def receive(self) -> Outcome | None:
        """Take what the child has sent; return what came of its file, None while the answer is incomplete."""
        limit = int(self._limits.max_text_mb * 1e6 * BYTES_PER_CHARACTER) + _CHUNK_BYTES
        while True:
            try:
                chunk = os.read(self.output.fileno(), _CHUNK_BYTES)
            except BlockingIOError:
                return None
            if not chunk:
                return self._death()
            self._buffer += chunk
            if not self._is_ready and len(self._buffer) >= LENGTH_BYTES:
                self._is_ready = True
                del self._buffer[:LENGTH_BYTES]
                self.deadline = time.monotonic() + self._limits.timeout_s
            if len(self._buffer) < LENGTH_BYTES:
                continue
            length = int.from_bytes(self._buffer[:LENGTH_BYTES], "little")
            if length > limit:
                self.kill()
                return UnusableError(ExtractDrop.TOO_LARGE_TEXT, f"more than max_text_mb={self._limits.max_text_mb:g}")
            if len(self._buffer) >= LENGTH_BYTES + length:
                return self._outcome(json.loads(bytes(self._buffer[LENGTH_BYTES : LENGTH_BYTES + length])))

    def finish(self) -> None:
        self._buffer.clear()
        self.is_free = True
        self.is_spent = self.is_spent or self._n_files >= FILES_PER_CHILD

    def kill(self) -> None:
        self.is_spent = True
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End the child by closing its input; a dead one is only collected."""
        for pipe in (self._input, self.output):
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def _outcome(self, answer: dict[str, Any]) -> Outcome:
        if "reason" in answer:
            reason = ExtractDrop(answer["reason"])
            self.is_spent = reason == ExtractDrop.READER_OUT_OF_MEMORY  # its memory may not come back
            return UnusableError(reason, answer["detail"])
        places = tuple(Place(start, label) for start, label in answer["offset_map"])
        found = Extracted(answer["text"], answer["title"], places, answer["licence"], answer["repairs"])
        return answer["format"], found

    def _death(self) -> UnusableError:
        """Say how the child died: the kernel's own kill means that memory ran out, as an abort at the limit does."""
        self.is_spent = True
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return UnusableError(ExtractDrop.READER_OUT_OF_MEMORY, "killed by the system")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return UnusableError(ExtractDrop.READER_CRASHED, f"the reader ended with {how}")
