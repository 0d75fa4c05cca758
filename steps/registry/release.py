"""Assembly of a release: a trained model in Hub layout, complete or not there at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from steps.errors import ReleaseError
from steps.settings import Settings

MANIFEST = "tunesmith.json"
SUMS = "SHA256SUMS"

#: Without one of these a directory cannot be served.
REQUIRED = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


class HubSettings(Settings):
    """Where a promoted release is pushed to."""

    repo_id: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$", max_length=96)
    """`organisation/name` on the Hub; made if it is not there."""
    private: bool = True
    """Whether the repository must be private. One that is public already is then refused."""
    endpoint: str | None = Field(default=None, pattern=r"^https?://\S+[^/\s]$")
    """Address of the Hub, without a final slash; none is the public one, or what HF_ENDPOINT says."""
    token_env: str = Field(default="HF_TOKEN", pattern=r"^[A-Z_][A-Z0-9_]*$")
    """Name of the environment variable that holds a token with write access. The token itself never stands in a
    config."""


class ReleaseSettings(Settings):
    """What the model card says that cannot be measured, and where the release goes."""

    licence: str = Field(default="other", min_length=1)
    """Licence id of the released model as the Hub spells it, e.g. apache-2.0; `other` when it is not on its list."""
    intended_use: str = Field(default="Not stated by the team that trained this model.", min_length=1)
    """What the model is for."""
    limits: str = Field(
        default="Evaluated only on the held-out rows of its own data set; answers outside of it are unmeasured.",
        min_length=1,
    )
    """What it must not be used for, and what is known to go wrong."""
    hub: HubSettings | None = None
    """None keeps the release here."""


def assemble(model_dir: Path, card_of: Callable[[Path], str], output: Path, facts: Mapping[str, Any]) -> Path:
    """Write a release in Hub layout: weights, tokenizer, template, adapter, model card, manifest, checksums.

    It is written beside `output` and renamed when it is complete, so that half a release never looks like one.

    Args:
        model_dir: The trained model, adapter merged.
        card_of: Returns the text of README.md, given the copied model; what it raises stops the release.
        output: Where the release shall stand; it must not hold files yet.
        facts: What `tunesmith.json` says in addition to the model's own.

    Raises:
        ReleaseError: if the model lacks a file, or `output` holds something already.
    """
    _check_complete(model_dir)
    if output.exists() and any(output.iterdir()):
        raise ReleaseError(f"{output} is not empty; a release is never written over another")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        staged = Path(scratch, "release")
        shutil.copytree(model_dir, staged, ignore=shutil.ignore_patterns(".*", SUMS))
        (staged / "README.md").write_text(card_of(staged), encoding="utf-8")
        manifest = json.loads((staged / MANIFEST).read_text(encoding="utf-8"))
        text = json.dumps({**manifest, **facts}, indent=2, ensure_ascii=False, allow_nan=False)
        (staged / MANIFEST).write_text(text + "\n", encoding="utf-8")
        write_sums(staged)
        if output.exists():
            output.rmdir()
        staged.rename(output)
    return output


def write_sums(release: Path) -> None:
    """Write SHA256SUMS over all other files, in the form that `sha256sum --check` reads."""
    lines = [f"{digest}  {name}\n" for name, digest in _digests(release).items()]
    (release / SUMS).write_text("".join(lines), encoding="utf-8")


def check_sums(release: Path) -> None:
    """Check that a release is complete and unchanged.

    Raises:
        ReleaseError: naming the files that are missing, changed or not listed.
    """
    file = release / SUMS
    if not file.is_file():
        raise ReleaseError(f"{release} has no {SUMS}, so it is not a release")
    lines = [line.partition("  ") for line in file.read_text(encoding="utf-8").splitlines()]
    listed = {name: digest for digest, _, name in lines}
    found = _digests(release)
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    if wrong:
        raise ReleaseError(f"{release}: {', '.join(wrong)} differ from {SUMS}; release the model again")


def _digests(release: Path) -> dict[str, str]:
    files = sorted(path for path in release.rglob("*") if path.is_file() and path != release / SUMS)
    digests = {}
    for path in files:
        with path.open("rb") as file:
            digests[path.relative_to(release).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _check_complete(model_dir: Path) -> None:
    missing = [name for name in (*REQUIRED, MANIFEST) if not (model_dir / name).is_file()]
    if not list(model_dir.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise ReleaseError(
            f"{model_dir} lacks {', '.join(missing)}, so it cannot be released; give a model trained by `tunesmith run`"
        )
