"""The whole way in one DAG: documents and data sets in, an evaluated and registered model out."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.config import RunConfig
from pipelines.curate import curation_steps
from pipelines.evaluate import evaluation_steps
from pipelines.finetune import finetuning_steps
from pipelines.release import release_steps


@pipeline(name="retrain", execution_mode=ExecutionMode.FAIL_FAST)
def retrain(config: RunConfig, sources_hash: str, version: str) -> None:
    """Curate, fine-tune, align, evaluate, release."""
    curated = curation_steps(config, sources_hash)
    models = finetuning_steps(config, curated.base_model, curated.sft_dataset, curated.imported_preferences)
    evaluated = evaluation_steps(config, version, curated.base_model, models, curated.sft_dataset)
    release_steps(config, curated.base_model, models.last, evaluated, curated.curation_report)
