"""Models and a test split in, a report with a verdict out."""

from typing import Any, NamedTuple

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.config import RunConfig
from pipelines.finetune import Finetuned
from pipelines.versions import Champion, stored
from steps.evaluation.step import compare_and_gate, evaluate_candidate


def candidate_of(config: RunConfig, base_model: Any, models: Finetuned) -> Any:
    """Return the model that stands for promotion, which is also the one that is released."""
    by_name = {"auto": models.last, "base": base_model, "sft": models.sft_model, "dpo": models.dpo_model}
    return by_name[config.gate.candidate]


class Evaluated(NamedTuple):
    """The evidence."""

    report: Any
    verdict: Any


def evaluation_steps(
    config: RunConfig, base_model: Any, models: Finetuned, sft_dataset: Any, champion: Champion | None
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
    if champion is not None:
        candidates["champion"] = rows_of("champion", stored(champion.release_id))
    report, verdict = compare_and_gate(
        **candidates,
        sft_dataset=sft_dataset,
        candidate_model=candidate_of(config, base_model, models),
        evaluation=config.evaluation,
        gate=config.gate,
        champion_version=champion.version if champion is not None else "",
    )
    return Evaluated(report, verdict)


@pipeline(name="evaluate", execution_mode=ExecutionMode.FAIL_FAST)
def evaluate(config: RunConfig, inputs: dict[str, str], champion: list[str]) -> None:
    """Evaluate the models of an earlier version; `inputs` maps artifact names to ids, `champion` is name and id."""
    evaluation_steps(
        config,
        stored(inputs["base_model"]),
        Finetuned.of(inputs),
        stored(inputs["sft_dataset"]),
        Champion(*champion) if champion else None,
    )
