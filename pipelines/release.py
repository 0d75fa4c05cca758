"""An evaluated model in; a registered, staged and (when configured) pushed release out."""

from typing import Any

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.config import RunConfig
from pipelines.evaluate import Evaluated
from pipelines.versions import artifact_of, find_version
from steps.registry.step import release_model


def release_steps(config: RunConfig, base_model: Any, model: Any, evaluated: Evaluated, curation_report: Any) -> Any:
    """Add the release to the pipeline being built; without a `promote` verdict it makes a marked candidate."""
    released, _ = release_model(
        model=model,
        base_model=base_model,
        evaluation_report=evaluated.report,
        verdict=evaluated.verdict,
        curation_report=curation_report,
        settings=config.release,
        name=config.name,
    )
    return released


@pipeline(name="release", execution_mode=ExecutionMode.FAIL_FAST)
def release(config: RunConfig) -> None:
    """Release the evaluated candidate of an earlier version."""
    version = find_version(config.name, config.inputs)
    last = version.get_artifact("dpo_model") or artifact_of(version, "sft_model")
    evaluated = Evaluated(artifact_of(version, "evaluation_report"), artifact_of(version, "verdict"))
    release_steps(config, artifact_of(version, "base_model"), last, evaluated, artifact_of(version, "curation_report"))
