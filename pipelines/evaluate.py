"""Models and a test split in, a report with a verdict out."""

from typing import Any, NamedTuple

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.config import RunConfig
from pipelines.finetune import Finetuned
from pipelines.versions import artifact_of, champion_of, find_version
from steps.evaluation.step import compare_and_gate, evaluate_candidate


class Evaluated(NamedTuple):
    """The evidence."""

    report: Any
    verdict: Any


def evaluation_steps(
    config: RunConfig, version: str, base_model: Any, models: Finetuned, sft_dataset: Any
) -> Evaluated:
    """Add one evaluation per model and mode, and the gate, to the pipeline being built."""

    def rows_of(name: str, model: Any, mode: str = "zero_shot") -> Any:
        evaluate_step = evaluate_candidate.with_options(substitutions={"model": name})
        return evaluate_step(
            model=model, sft_dataset=sft_dataset, settings=config.evaluation, mode=mode, id=f"evaluate_{name}"
        )

    candidates = {"base": rows_of("base", base_model), "sft": rows_of("sft", models.sft_model)}
    if config.evaluation.few_shot:
        candidates["base_few_shot"] = rows_of("base_few_shot", base_model, "few_shot")
    if models.dpo_model is not None:
        candidates["dpo"] = rows_of("dpo", models.dpo_model)
    champion = champion_of(config.name, version)
    if champion is not None:
        candidates["champion"] = rows_of("champion", artifact_of(champion, "release"))
    report, verdict = compare_and_gate(
        **candidates,
        sft_dataset=sft_dataset,
        candidate_model=models.last,
        champion_model=artifact_of(champion, "release") if champion is not None else None,
        evaluation=config.evaluation,
        gate=config.gate,
        champion_version=champion.name if champion is not None else "",
    )
    return Evaluated(report, verdict)


@pipeline(name="evaluate", execution_mode=ExecutionMode.FAIL_FAST)
def evaluate(config: RunConfig) -> None:
    """Evaluate the models of an earlier version."""
    version = find_version(config.name, config.inputs)
    models = Finetuned(artifact_of(version, "sft_model"), version.get_artifact("dpo_model"))
    evaluation_steps(
        config, version.name, artifact_of(version, "base_model"), models, artifact_of(version, "sft_dataset")
    )
