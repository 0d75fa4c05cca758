"""The whole way in one DAG: documents and data sets in, an evaluated and registered model out."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.config import RunConfig
from pipelines.curate import curation_steps
from pipelines.evaluate import candidate_of, evaluation_steps
from pipelines.finetune import finetuning_steps
from pipelines.release import release_steps
from pipelines.versions import Champion


@pipeline(name="retrain", execution_mode=ExecutionMode.FAIL_FAST)
def retrain(config: RunConfig, sources_hash: str, champion: list[str], previous_splits: str = "") -> None:
    """Curate, fine-tune, align, evaluate, release; `champion` is the version to beat and its release's id, or empty."""
    curated = curation_steps(config, sources_hash, previous_splits)
    models = finetuning_steps(config, curated.base_model, curated.sft_dataset, curated.imported_preferences)
    opponent = Champion(*champion) if champion else None
    evaluated = evaluation_steps(config, curated.base_model, models, curated.sft_dataset, opponent)
    candidate = candidate_of(config, curated.base_model, models)
    release_steps(config, curated.base_model, candidate, evaluated, curated.curation_report)
