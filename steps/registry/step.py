"""The release step."""

from pathlib import Path
from typing import Annotated, Any

from zenml import get_step_context, log_metadata, step
from zenml.enums import ModelStages

from steps.artifacts import scratch_directory
from steps.caching import rerun_when_changed
from steps.registry.publish import lineage_of, publish
from steps.registry.release import ReleaseSettings


@step(cache_policy=rerun_when_changed(__file__))
def release_model(
    model: Path,
    base_model: Path,
    evaluation_report: dict[str, Any],
    verdict: dict[str, Any],
    curation_report: dict[str, Any],
    settings: ReleaseSettings,
    name: str,
) -> tuple[Annotated[Path, "release"], Annotated[str, "model_card"]]:
    """Check, document and assemble the release; push it if the gate promoted it, else mark it as a candidate.

    The promoted model version goes into production; the one that was there is archived, and remembered as beaten.
    """
    run = get_step_context().pipeline_run
    version = run.model_version.name if run.model_version else "none"
    published = publish(
        model,
        base_model,
        evaluation_report,
        verdict,
        curation_report,
        settings,
        name,
        {"pipeline run": f"{run.name} ({run.id})", "model version": f"{name} {version}"},
        scratch_directory(),
    )
    log_metadata({"candidate": verdict["decision"] != "promote"}, artifact_name="release", infer_artifact=True)
    if published.pushed is not None:
        log_metadata({"hub": published.pushed._asdict()}, artifact_name="release", infer_artifact=True)
    if run.model_version is not None:
        model_version = get_step_context().model
        model_version.log_metadata(lineage_of(published.path, verdict))
        if verdict["decision"] == "promote":
            model_version.set_stage(ModelStages.PRODUCTION, force=True)
    return published.path, published.card
