"""An evaluated model in; a registered, staged and (when configured) pushed release out."""

from typing import Any

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.config import RunConfig
from pipelines.evaluate import Evaluated, candidate_of
from pipelines.finetune import Finetuned
from pipelines.versions import stored
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
def release(config: RunConfig, inputs: dict[str, str]) -> None:
    """Release the evaluated candidate of an earlier version; `inputs` maps artifact names to ids."""
    base_model = stored(inputs["base_model"])
    evaluated = Evaluated(stored(inputs["evaluation_report"]), stored(inputs["verdict"]))
    candidate = candidate_of(config, base_model, Finetuned.of(inputs))
    release_steps(config, base_model, candidate, evaluated, stored(inputs["curation_report"]))
