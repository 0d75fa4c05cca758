"""Where benchmarks leave what they found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results")


def write(name: str, record: dict[str, Any], page: str, folder: Path = RESULTS) -> None:
    """Write all figures to `<name>.json` and the tables to `<name>.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(page, encoding="utf-8")
