"""What the files of a source hold, without a reader being started for them."""

from collections.abc import Iterable
from pathlib import Path

from steps.extraction.found import FoundFile
from steps.extraction.reasons import UnusableError


def contents(files: Iterable[FoundFile], scratch: Path) -> dict[str, str]:
    """Fetch every file; return its text by its path, `! reason` where it has none."""
    scratch.mkdir(exist_ok=True)
    found = {}
    for file in list(files):  # as extraction does: all are listed before the first is fetched
        try:
            found[file.path] = file.fetch(scratch).read_text()
        except UnusableError as error:
            found[file.path] = f"! {error.reason}"
    return found
