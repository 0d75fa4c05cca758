"""Which model version a run makes, and which champion it has to beat.

A version is named by a fingerprint of all that decides its content: the settings, the source files, the code. The
same run again is the same version, so that it is found complete in the cache instead of competing with itself.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.config import RunConfig
from steps.errors import InputError

if TYPE_CHECKING:
    from zenml.models import ArtifactVersionResponse, ModelVersionResponse

ROOT = Path(__file__).resolve().parents[1]

#: Metadata key under which a promoted version remembers the version that it beat ("" when it was the first).
BEAT = "champion_before"


def code_hash() -> str:
    """Hash the source of all stages and pipelines."""
    digest = hashlib.sha256()
    for folder in ("steps", "pipelines"):
        for path in sorted(p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def version_name(config: RunConfig, sources_hash: str) -> str:
    """Return the name of the model version of this run: `v` and 12 hexadecimal digits.

    The letter matters: ZenML takes a name of digits alone, as one hash in 300 is, for a version number.
    """
    parts = (config.settings_hash, sources_hash, code_hash())
    return "v" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def find_version(name: str, reference: str, having: tuple[str, ...] = ()) -> ModelVersionResponse:
    """Return a version of the model `name`, by version name, number, stage or `latest`.

    `latest` is the newest version that has all artifacts of `having`: a run that failed on the way leaves a version
    without them. If none has them all, it is the newest.

    Raises:
        InputError: if there is none.
    """
    from zenml.client import Client
    from zenml.enums import ModelStages

    if reference == "latest" and having:
        latest = find_version(name, "latest")
        versions = Client().list_model_versions(model=name, sort_by="desc:number", size=50, hydrate=True).items
        complete = (found for found in versions if all(found.get_artifact(each) is not None for each in having))
        return next(complete, latest)
    lookup: Any = int(reference) if reference.isdigit() else reference
    if reference in {stage.value for stage in ModelStages}:
        lookup = ModelStages(reference)
    try:
        return Client().get_model_version(name, lookup)
    except KeyError:
        raise InputError(
            f"there is no version {reference!r} of model {name!r}; run a pipeline: curate or retrain config with "
            f"name: {name} first, or set inputs to one that `zenml model version list` shows"
        ) from None


class Champion(NamedTuple):
    """The version that a candidate has to beat: its name, and the id of its release artifact."""

    version: str
    release_id: str


def artifact_ids(version: ModelVersionResponse, *names: str, optional: tuple[str, ...] = ()) -> dict[str, str]:
    """Return artifact name -> id of the newest artifacts of a model version; a missing optional one is left out.

    Ids are resolved before a pipeline is built: inside its function, ZenML's client only answers while steps run.
    """
    ids = {name: str(artifact_of(version, name).id) for name in names}
    extra = {name: version.get_artifact(name) for name in optional}
    return ids | {name: str(artifact.id) for name, artifact in extra.items() if artifact is not None}


def stored(artifact_id: str) -> Any:
    """Return a stored artifact as the input of a step in the pipeline being built."""
    from zenml.client import Client

    return Client().get_artifact_version(artifact_id)


def previous_splits_of(config: RunConfig, version: str) -> str:
    """Return the id of the splits that `curation.split.previous` names, other than `version`'s own; "" for none.

    Raises:
        InputError: if a version that is named, and is not `latest`, does not exist or has no splits.
    """
    from zenml.client import Client

    reference = config.curation.split.previous
    if reference is None:
        return ""
    if reference != "latest":
        return str(artifact_of(find_version(config.name, reference), "split_examples").id)
    if not Client().list_models(name=config.name, size=1).items:
        return ""
    versions = Client().list_model_versions(model=config.name, sort_by="desc:number", size=50, hydrate=True).items
    earlier = (found.get_artifact("split_examples") for found in versions if found.name != version)
    return next((str(artifact.id) for artifact in earlier if artifact is not None), "")


def artifact_of(version: ModelVersionResponse, name: str) -> ArtifactVersionResponse:
    """Return the newest artifact `name` of a model version.

    Raises:
        InputError: if the version has none.
    """
    artifact = version.get_artifact(name)
    if artifact is None:
        raise InputError(
            f"version {version.name} of model {version.model.name} has no artifact {name!r}; "
            "run the pipeline that makes it first (curate, then finetune, then evaluate, then release)"
        )
    return artifact


def champion_of(name: str, version: str) -> Champion | None:
    """Return the version in production that `version` has to beat, or None when there is none.

    When `version` itself is in production, that is the version which it beat when it was promoted: the same run again
    repeats the same comparison instead of comparing a model with itself.
    """
    from zenml.client import Client
    from zenml.enums import ModelStages

    try:
        champion = Client().get_model_version(name, ModelStages.PRODUCTION)
    except KeyError:
        return None
    if champion.name == version:
        beaten = champion.run_metadata.get(BEAT)
        if not beaten:
            return None
        champion = find_version(name, str(beaten))
    return Champion(champion.name, str(artifact_of(champion, "release").id))
