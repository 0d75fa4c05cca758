"""Globs over paths with slashes, whatever they stand for: files, blobs of a commit, objects of a bucket, members."""

from __future__ import annotations

import re
from collections.abc import Sequence


def any_of(globs: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern whose `fullmatch` holds for a path that one of the globs matches, whatever its case.

    >>> bool(any_of(["**/*.md"]).fullmatch("deep/er/A.MD")), bool(any_of([]).fullmatch("a.md"))
    (True, False)
    """
    return re.compile("|".join(_regex(glob) for glob in globs) or r"(?!)", re.IGNORECASE)


def _regex(glob: str) -> str:
    """Translate a glob; `**/` is any number of folders, `**` anything, `*` and `?` stay within a name."""
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob.removeprefix("./"))
    return "".join(wild.get(part) or re.escape(part) for part in parts)
