"""A reader that does what a file's text says: hostile files for the tests of isolation."""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, Place


def read(file: Path, max_file_mb: float, name: str | None) -> tuple[str, Extracted]:
    order = file.read_text()
    if order == "long":
        return "text", Extracted("x" * 3_000_000, None)
    ORDERS.get(order, lambda: None)()
    return "text", Extracted(f"{order} é", name, (Place(0, "page 1"),), "MIT", {"nul": os.getpid()})


def deep() -> None:
    deep()


def mistake() -> None:
    raise KeyError("a mistake of the reader")


def unusable() -> None:
    raise UnusableError(ExtractDrop.EMPTY_FILE, "as it was ordered")


def noise() -> None:
    os.write(1, b"noise")
    sys.stdout.write("noise")


ORDERS: dict[str, Callable[[], object]] = {
    "sleep": lambda: time.sleep(60),
    "memory": lambda: [bytearray(1 << 24) for _ in range(100_000)],
    "exit": lambda: os._exit(3),
    "segfault": lambda: ctypes.string_at(0),
    "killed": lambda: os.kill(os.getpid(), 9),
    "print": noise,
    "deep": deep,
    "mistake": mistake,
    "unusable": unusable,
}
