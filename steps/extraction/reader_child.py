"""The process that reads files for `isolation`: bounded memory, no output but the answers, one file at a time."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import logging
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from steps.extraction.reasons import ExtractDrop, UnusableError

#: Bytes of a length before each message; a child that has started sends a length of 0.
LENGTH_BYTES = 8
_PR_SET_PDEATHSIG = 1


def main(reader_name: str, limits_json: str) -> None:
    """Answer requests from standard input until it ends; the limits are those of `isolation.ReadLimits`."""
    limits = json.loads(limits_json)
    answers = _own_output()
    _die_with_parent()
    module, _, function = reader_name.partition(":")
    reader = getattr(importlib.import_module(module), function)
    _bound_memory(limits["memory_mib"])
    answers.write(bytes(LENGTH_BYTES))
    answers.flush()
    requests = sys.stdin.buffer
    while length := requests.read(LENGTH_BYTES):
        request = json.loads(requests.read(int.from_bytes(length, "little")))
        _send(answers, _answer(reader, request, limits))


def _answer(reader: Any, request: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    try:
        format_name, found = reader(Path(request["file"]), limits["max_file_mb"], request["name"])
    except UnusableError as error:
        return {"reason": error.reason.value, "detail": error.detail}
    except MemoryError:
        gc.collect()
        return {"reason": ExtractDrop.READER_OUT_OF_MEMORY.value, "detail": f"memory_mib={limits['memory_mib']}"}
    except RecursionError:
        return {"reason": ExtractDrop.TOO_DEEP_MARKUP.value, "detail": "nested deeper than Python's recursion limit"}
    except Exception as error:  # a reader's own mistake must not cost the run; the ledger shows it
        return {"reason": ExtractDrop.READER_CRASHED.value, "detail": f"{type(error).__name__}: {error}"[:300]}
    if len(found.text) > limits["max_text_mb"] * 1e6:
        detail = f"{len(found.text) / 1e6:.1f} million characters, max_text_mb={limits['max_text_mb']:g}"
        return {"reason": ExtractDrop.TOO_LARGE_TEXT.value, "detail": detail}
    return {**found._asdict(), "format": format_name, "repairs": dict(found.repairs)}


def _send(answers: BinaryIO, answer: dict[str, Any]) -> None:
    message = json.dumps(answer).encode()
    answers.write(len(message).to_bytes(LENGTH_BYTES, "little") + message)
    answers.flush()


def _own_output() -> BinaryIO:
    """Take standard output for the answers, and send what libraries print into the void."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    return answers


def _bound_memory(memory_mib: int) -> None:
    """Bound the address space, on top of what the libraries of this process have mapped by now; no core files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":  # elsewhere the bound is ignored or refused
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    bound = pages * resource.getpagesize() + (memory_mib << 20)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def _die_with_parent() -> None:
    """Ask Linux for a kill when the parent ends, so that a hanging reader does not outlive a killed run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
