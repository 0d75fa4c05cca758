"""A reader that does what a file's text says: hostile files for the tests of isolation."""

import ctypes
import os
import sys
import time
from pathlib import Path

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted, Place


def read(file: Path, max_file_mb: float, name: str | None) -> tuple[str, Extracted]:
    order = file.read_text()
    if order == "sleep":
        time.sleep(60)
    elif order == "memory":
        _ = [bytearray(1 << 24) for _ in range(100_000)]
    elif order == "exit":
        os._exit(3)
    elif order == "segfault":
        ctypes.string_at(0)
    elif order == "killed":
        os.kill(os.getpid(), 9)
    elif order == "print":
        os.write(1, b"noise")
        sys.stdout.write("noise")
    elif order == "long":
        return "text", Extracted("x" * 3_000_000, None)
    elif order == "deep":
        return read_deep(0)
    elif order == "mistake":
        raise KeyError("a mistake of the reader")
    elif order == "unusable":
        raise UnusableError(ExtractDrop.EMPTY_FILE, "as it was ordered")
    return "text", Extracted(f"{order} é", name, (Place(0, "page 1"),), "MIT", {"nul": os.getpid()})


def read_deep(depth: int) -> tuple[str, Extracted]:
    return read_deep(depth + 1)
