from pathlib import Path

import pytest

from steps.extraction.licences import licence_in, licence_near, licence_of_text

MIT = (
    "MIT License\n\nCopyright (c) 2024 Us\n\nPermission is hereby granted, free of charge, to any person "
    "obtaining a copy\n"
    'of this software ...\n\nTHE SOFTWARE IS PROVIDED "AS IS"'
)
BSD_2 = (
    "Redistribution and use in source and binary forms, with or without\nmodification, are permitted provided\n"
    "* Redistributions in binary form must reproduce the above"
)
BSD_3 = f"{BSD_2}\n* Neither the name of the copyright holder may be used to endorse or promote products"


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (MIT, "MIT"),
        (BSD_2, "BSD-2-Clause"),
        (BSD_3, "BSD-3-Clause"),
        (
            "Apache License\n   Version 2.0, January 2004\n\n   TERMS AND CONDITIONS FOR USE, REPRODUCTION,",
            "Apache-2.0",
        ),
        (
            "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n" + "Preamble " * 40 + "GNU Lesser General",
            "GPL-3.0-only",
        ),
        (f"{MIT}\n\nApache License\nVersion 2.0, January 2004 terms and conditions for use, reproduction", None),
        ("All rights reserved.", None),
    ],
)
def test_licence_text_is_recognised_and_a_doubt_is_none(text: str, licence: str | None) -> None:
    assert licence_of_text(text) == licence


@pytest.mark.parametrize(
    ("header", "licence"),
    [
        ("# SPDX-License-Identifier: Apache-2.0", "Apache-2.0"),
        ("/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */", "GPL-2.0-only WITH Linux-syscall-note"),
        ("SPDX-License-Identifier: see the file", None),
        ("x" * 5_000 + "\nSPDX-License-Identifier: MIT", None),
    ],
)
def test_header_names_the_licence(header: str, licence: str | None) -> None:
    assert licence_in(header) == licence


def test_nearest_licence_file_within_the_source_counts(tmp_path: Path) -> None:
    inner = tmp_path / "root" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "LICENSE").write_text(BSD_3)
    assert licence_near(inner / "x.md", tmp_path / "root") is None
    (tmp_path / "root" / "LICENSE").write_text(MIT)
    assert licence_near(inner / "x.md", tmp_path / "root") == "MIT"
    (inner / "COPYING").write_text("a text of our own")
    assert licence_near(inner / "x.md", tmp_path / "root") is None
