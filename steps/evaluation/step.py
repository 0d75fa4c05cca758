"""The evaluation steps: one evaluation per model and mode, then the comparison with the gate's verdict."""

from pathlib import Path
from typing import Annotated, Any, Optional

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.errors import EvaluationError
from steps.evaluation.evaluate import EvaluationSettings, evaluate_model
from steps.evaluation.gate import GateSettings
from steps.evaluation.report import compare
from steps.evaluation.rows import behaviour_hash


@step(cache_policy=rerun_when_changed(__file__), substitutions={"model": "model"})
def evaluate_candidate(
    model: Path, sft_dataset: pa.Table, settings: EvaluationSettings, mode: str = "zero_shot"
) -> Annotated[pa.Table, "{model}_evaluation"]:
    """Evaluate one model on the test split, `zero_shot` or `few_shot`."""
    if mode not in ("zero_shot", "few_shot"):
        raise EvaluationError(f"mode={mode!r} is neither zero_shot nor few_shot")
    return evaluate_model(model, sft_dataset, settings, "few_shot" if mode == "few_shot" else "zero_shot")


@step(cache_policy=rerun_when_changed(__file__))
def compare_and_gate(
    base: pa.Table,
    sft_dataset: pa.Table,
    candidate_model: Path,
    evaluation: EvaluationSettings,
    gate: GateSettings,
    sft: Optional[pa.Table] = None,  # noqa: UP045  (ZenML reads the annotation)
    dpo: Optional[pa.Table] = None,  # noqa: UP045
    base_few_shot: Optional[pa.Table] = None,  # noqa: UP045
    champion: Optional[pa.Table] = None,  # noqa: UP045
    champion_version: str = "",
) -> tuple[Annotated[dict[str, Any], "evaluation_report"], Annotated[dict[str, Any], "verdict"]]:
    """Compare all evaluations and decide whether the candidate is promoted."""
    given = {"base": base, "base_few_shot": base_few_shot, "sft": sft, "dpo": dpo, "champion": champion}
    report, verdict = compare(
        {name: table for name, table in given.items() if table is not None},
        sft_dataset,
        evaluation,
        gate,
        champion_version,
    )
    if verdict["model_sha256"] not in (None, behaviour_hash(candidate_model)):
        raise EvaluationError(
            f"gate.candidate={verdict['candidate']} was evaluated, but another model is to be released"
        )
    return report, verdict
