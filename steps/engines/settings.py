"""Which engine runs the functions of curation."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from steps.errors import ConfigError
from steps.settings import Settings
from steps.tables import BATCH_ROWS


class EngineSettings(Settings):
    """Where filters, exact and near-duplicate search run; the name of an engine alone stands for its defaults."""

    type: Literal["local", "daft"] = "local"
    """`local`: in this process, one batch after the other. `daft`: as Daft tasks, on all cores of this machine or of
    a Ray cluster; needs the extra `daft`. Rows and ledgers are the same."""

    ray_address: str | None = None
    """Address of a running Ray cluster for Daft (`auto`, `ray://head:10001`, …), whose machines have Tunesmith
    installed; needs the package `ray`. None runs Daft in this process."""

    batch_rows: int = Field(BATCH_ROWS, ge=1)
    """Rows that a function gets at once."""

    partitions: int = Field(32, ge=1, le=4096)
    """Parts that band keys and hashes are dealt among, each of which one task searches; a band of the MinHash is at
    least one. At 10 million rows a part of one band has 80 MB."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _ray_is_for_daft(self) -> Self:
        if self.ray_address is not None and self.type != "daft":
            raise ValueError(f"ray_address={self.ray_address} is for Daft; set type: daft, or remove it")
        return self


def check_engine(settings: EngineSettings) -> None:
    """Check that the engine is installed.

    Raises:
        ConfigError: naming the pip command that installs what is missing.
    """
    if settings.type == "daft" and find_spec("daft") is None:
        raise ConfigError(
            "curation.engine: daft needs the package daft, which is not installed; run "
            "`pip install 'tunesmith[daft]'`, or set curation.engine: local"
        )
    if settings.ray_address is not None and find_spec("ray") is None:
        raise ConfigError(
            f"curation.engine.ray_address={settings.ray_address} needs the package ray, which is not installed; run "
            "`pip install ray`, or remove ray_address to run Daft in this process"
        )
