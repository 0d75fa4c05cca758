"""What a benchmark says about the machine, and how it reads its own process."""

from __future__ import annotations

import os
import platform
import resource
import threading
from pathlib import Path
from typing import Any

#: CPU flags that decide how fast the compiled loops are.
TELLING_FLAGS = ("avx2", "avx512f", "avx512bw", "avx512_bf16", "neon", "sve")


def machine() -> dict[str, Any]:
    """Return cores, architecture, telling CPU flags, memory and Python version."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "flags": [flag for flag in TELLING_FLAGS if flag in _flags()],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
    }


def sentence(found: dict[str, Any]) -> str:
    """Say the machine in a line."""
    flags = ", ".join(found["flags"]) or "no vector flags known"
    return (
        f"{found['cores']} cores ({found['architecture']}; {flags}), {found['memory_gib']} GiB of memory, "
        f"Python {found['python']}"
    )


def _flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":", 1)[1].split()}


def cpu_s() -> float:
    """Return the CPU seconds, user and system, of this process and its ended children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


class PeakMemory:
    """Samples the resident memory of this process: what it holds itself, and mapped file pages that it can give back.

    Attributes:
        anonymous_mib: Largest `RssAnon` seen.
        before_mib: `RssAnon` at the start.
        file_mib: Largest `RssFile` seen.
    """

    def __init__(self, interval_s: float = 0.05) -> None:
        self.anonymous_mib = self.before_mib = self.file_mib = 0.0
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._look()
        self.before_mib = self.anonymous_mib
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._look()

    def _look(self) -> None:
        resident = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        self.anonymous_mib = max(self.anonymous_mib, int(resident["RssAnon"].split()[0]) / 1024)
        self.file_mib = max(self.file_mib, int(resident["RssFile"].split()[0]) / 1024)
