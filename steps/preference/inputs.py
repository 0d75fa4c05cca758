"""What the stage asks and reads beside its tables: endpoints, and files that its settings name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steps.llm.endpoint import EndpointSettings
from steps.preference.build import PreferenceSettings


def endpoints_of(settings: PreferenceSettings) -> list[EndpointSettings]:
    """Return every endpoint that the stage will ask, so that its key can be looked for before anything is done."""
    asked: list[Any] = [settings.revision]
    if settings.sampled is not None:
        asked += [*settings.sampled.judges, settings.sampled.pairwise, *settings.sampled.others]
    models = (getattr(one, "model", None) for one in asked)
    return [model for model in models if isinstance(model, EndpointSettings)]


def files_of(settings: PreferenceSettings) -> list[str]:
    """Return the files that the settings name (prompts, rubrics, labels, a calibration), whose content counts."""

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            # What the stage itself writes is none of its inputs: replies, and weights that are trained from labels.
            written = {"cache_path", *(["weights_path"] if value.get("labels_path") else [])}
            for key, inner in value.items():
                yield from walk(inner) if key not in written else ()
        elif isinstance(value, list | tuple):
            for inner in value:
                yield from walk(inner)
        elif isinstance(value, str) and Path(value).is_file():
            yield value

    return sorted(set(walk(settings.model_dump())))
