"""Experiment tracking with Comet: off, offline (an archive on disk, no key, no network), or online."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field

from steps.errors import ConfigError
from steps.settings import Settings


class TrackingSettings(Settings):
    """Where the curves of a training go besides the report."""

    comet: Literal["off", "offline", "online"] = "off"
    """`offline` writes a zip that `comet upload` takes later; `online` needs COMET_API_KEY in the environment."""
    project: str = Field(default="tunesmith", min_length=1)
    """Comet project."""
    directory: str = Field(default="outputs/comet", min_length=1)
    """Folder of the offline archives, relative to the working directory."""


@contextmanager
def tracked(settings: TrackingSettings) -> Iterator[list[str]]:
    """Yield the `report_to` of a trainer, with Comet's environment set for the block only.

    Raises:
        ConfigError: for `online` without an API key.
    """
    if settings.comet == "off":
        yield []
        return
    if settings.comet == "online" and not os.environ.get("COMET_API_KEY"):
        raise ConfigError(
            "tracking.comet=online, but COMET_API_KEY is not set; set it, or set tracking.comet: offline, which "
            "writes an archive that `comet upload` takes later"
        )
    directory = Path(settings.directory).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {
        "COMET_START_ONLINE": "1" if settings.comet == "online" else "0",
        "COMET_OFFLINE_DIRECTORY": str(directory),
        "COMET_PROJECT_NAME": settings.project,
        "COMET_LOGGING_CONSOLE": "ERROR",
    }
    former = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield ["comet_ml"]
    finally:
        _end_experiment()
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_experiment() -> None:
    """Close the running experiment, which writes the offline archive."""
    import comet_ml

    experiment = comet_ml.get_running_experiment()
    if experiment is not None:
        experiment.end()
