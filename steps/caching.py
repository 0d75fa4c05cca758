"""The cache key of a step covers the logic that it runs, not only its own few lines.

ZenML hashes the source of the step function alone: editing an imported helper would give a stale result. Every
cached step is declared with `rerun_when_changed(__file__)`, which adds to its key all files of the stage's folder
(templates and rubrics too) and every project module that these import, directly or not.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from zenml.config.cache_policy import CachePolicy

import steps.artifacts  # noqa: F401  (registers the materializers of every step that is declared through this module)

ROOT = Path(__file__).resolve().parents[1]

#: Modules that store, key, show or name results, but do not compute them.
NOT_LOGIC = {
    "steps/artifacts.py",
    "steps/cache_folder.py",
    "steps/caching.py",
    "steps/errors.py",
    "steps/parquet.py",
    "steps/progress.py",
}


def rerun_when_changed(step_file: str) -> CachePolicy:
    """Return the cache policy of the step declared in `step_file`.

    Args:
        step_file: `__file__` of the `step.py`.
    """
    return CachePolicy(file_dependencies=dependencies(Path(step_file).resolve()))


def dependencies(step_file: Path) -> list[str]:
    """List the files that the step's result depends on, sorted, relative to the source root.

    The step's folder counts as a whole, but for other folders only the modules that are imported, and what stands
    beside an imported package's `__init__.py` without being Python (a template belongs to its package).
    """
    found: set[Path] = set()
    waiting = [path for path in step_file.parent.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".py":
            waiting.extend(_imported(path))
    names = {path.relative_to(ROOT).as_posix() for path in found}
    return sorted(names - NOT_LOGIC)


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """Return the project files that a module imports, at its top or inside a function."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(*(_files_of(alias.name) for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(_files_of(node.module), *(_files_of(f"{node.module}.{alias.name}") for alias in node.names))
    return tuple(found)


def _files_of(module: str) -> tuple[Path, ...]:
    """Return the file of a project module and the data files of its package; nothing for other people's modules."""
    base = ROOT.joinpath(*module.split("."))
    if module.split(".")[0] != "steps":
        return ()
    source = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"
    if not source.is_file():
        return ()
    data = [p for p in source.parent.rglob("*") if p.is_file() and p.suffix in {".jinja", ".yaml", ".json", ".txt"}]
    return (source, *(data if source.parent != ROOT / "steps" else ()))
