"""The licence that a file itself states, as an SPDX identifier; where words leave a doubt, none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

#: Characters from the beginning in which a file's header stands.
HEADER_CHARACTERS = 4_000
#: Characters of a licence's title.
TITLE_CHARACTERS = 150
_SPDX_TAG = re.compile(
    r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() \t-]+?)[ \t]*(?:\*/|-->|[\"'`;]|$)", re.MULTILINE
)
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
#: Names of licence files, in the order in which they are asked.
LICENCE_FILES = (
    "LICENSE",
    "LICENCE",
    "LICENSE.txt",
    "LICENCE.txt",
    "LICENSE.md",
    "LICENCE.md",
    "COPYING",
    "COPYING.txt",
)
#: Identifiers by their lower-case spelling, with the names that people write in front matter.
_KNOWN: Mapping[str, str] = {
    **{
        name.lower(): name
        for name in (
            "MIT Apache-2.0 BSD-2-Clause BSD-3-Clause ISC 0BSD Zlib MPL-2.0 CC0-1.0 CC-BY-4.0 CC-BY-3.0 CC-BY-SA-4.0 "
            "CC-BY-SA-3.0 CC-BY-NC-4.0 CC-BY-NC-SA-4.0 CC-BY-NC-ND-4.0 CC-BY-ND-4.0 GPL-2.0-only GPL-2.0-or-later "
            "GPL-3.0-only GPL-3.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later "
            "AGPL-3.0-only AGPL-3.0-or-later Unlicense WTFPL BSL-1.0 EPL-2.0 Python-2.0 PSF-2.0 ODbL-1.0 GFDL-1.3-only"
        ).split()
    },
    "apache 2.0": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "mit license": "MIT",
    "cc0": "CC0-1.0",
    "cc by 4.0": "CC-BY-4.0",
    "cc by-sa 4.0": "CC-BY-SA-4.0",
}
#: Sentences of licence texts that no other licence has: each must be found.
_PHRASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AGPL-3.0-only", ("gnu affero general public license", "version 3")),
    ("LGPL-3.0-only", ("gnu lesser general public license", "version 3, 29 june 2007")),
    ("LGPL-2.1-only", ("gnu lesser general public license", "version 2.1, february 1999")),
    ("GPL-3.0-only", ("gnu general public license", "version 3, 29 june 2007")),
    ("GPL-2.0-only", ("gnu general public license", "version 2, june 1991")),
    ("MPL-2.0", ("mozilla public license version 2.0", "covered software")),
    ("Apache-2.0", ("apache license version 2.0, january 2004", "terms and conditions for use, reproduction")),
    ("CC-BY-SA-4.0", ("creative commons attribution-sharealike 4.0 international",)),
    ("CC-BY-NC-4.0", ("creative commons attribution-noncommercial 4.0 international",)),
    ("CC-BY-4.0", ("creative commons attribution 4.0 international",)),
    ("CC0-1.0", ("cc0 1.0 universal",)),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    ("BSL-1.0", ("boost software license - version 1.0",)),
    (
        "MIT",
        ("permission is hereby granted, free of charge, to any person obtaining a copy", "the software is provided"),
    ),
    ("ISC", ("permission to use, copy, modify, and/or distribute this software for any purpose", "provided that the")),
    (
        "BSD-3-Clause",
        ("redistribution and use in source and binary forms", "endorse or promote"),
    ),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms", "redistributions in binary form must")),
)
_ADDRESS = re.compile(r"creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-sa|-nd)?)/(\d\.\d)|publicdomain/(zero)/(1\.0))")


def licence_in(text: str) -> str | None:
    """Return what the header of a file says behind `SPDX-License-Identifier:`.

    >>> licence_in("// SPDX-License-Identifier: MIT OR Apache-2.0")
    'MIT OR Apache-2.0'
    """
    found = _SPDX_TAG.search(text[:HEADER_CHARACTERS])
    expression = found[1].strip() if found else ""
    return expression if _EXPRESSION.fullmatch(expression) else None


def licence_named(name: object) -> str | None:
    """Return the identifier of a licence that front matter or metadata names; None for a name that is not known.

    >>> licence_named("apache 2.0"), licence_named("see below")
    ('Apache-2.0', None)
    """
    return _KNOWN.get(name.strip().lower()) if isinstance(name, str) else None


def licence_of_address(address: str) -> str | None:
    """Return the identifier of a Creative Commons licence by its address.

    >>> licence_of_address("https://creativecommons.org/licenses/by-sa/4.0/")
    'CC-BY-SA-4.0'
    """
    found = _ADDRESS.search(address.lower())
    if not found:
        return None
    return "CC0-1.0" if found[3] else f"CC-{found[1].upper()}-{found[2]}"


def licence_of_text(text: str) -> str | None:
    """Return the licence whose full text this is; None for a text of our own, two licences, or an unknown one.

    >>> licence_of_text("Permission is hereby granted, free of charge, to any person")
    """
    words = " ".join(re.sub(r"\W*\n\W*", " ", text.lower()).split())
    head = words[:TITLE_CHARACTERS]
    found = [
        name
        for name, phrases in _PHRASES
        # GNU licences name each other, so only the title counts.
        if all(phrase in (head if "GPL" in name else words) for phrase in phrases)
    ]
    if found[-2:] == ["BSD-3-Clause", "BSD-2-Clause"]:  # the longer text holds the shorter one
        found.pop()
    return found[0] if len(found) == 1 else None


def licence_near(file: Path, root: Path) -> str | None:
    """Return the licence of the nearest licence file from a file's folder up to the source's root."""
    folder = root if root.is_dir() else root.parent
    for near in (file.parent, *file.parent.parents):
        for name in LICENCE_FILES:
            found = near / name
            if found.is_file():
                return licence_of_text(found.read_text(encoding="utf-8", errors="replace")[:200_000])
        if near == folder:
            return None
    return None
