from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from steps.chat.generation import Generated, GenerationSettings, LossRow
from steps.errors import EvaluationError
from steps.evaluation.evaluate import Engine, EvaluationSettings, Messages, evaluate_model
from steps.evaluation.rows import behaviour_hash, mode_of, model_of
from steps.rows import SFT, table
from tests.evaluation.conftest import sft_rows

SETTINGS = EvaluationSettings(metrics=("exact_match", "numeric_match", "tldr_exact"))


class Parrot:
    """Answers with the number of the question, and remembers what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[Messages] = []
        self.conversations: list[Messages] = []

    @property
    def engine(self) -> Engine:
        return Engine(self.generate, self.held_out_loss)

    def generate(self, prompts: Sequence[Messages], settings: GenerationSettings) -> list[list[Generated]]:
        self.prompts = list(prompts)
        return [[self._answer(prompt[-1]["content"].split()[-1])] for prompt in prompts]

    def _answer(self, number: str) -> Generated:
        if number == "3":
            return Generated("", 0, False, "the prompt does not fit")
        return Generated(f"test answer {number}" if number != "5" else "wrong 5", 4, number != "7")

    def held_out_loss(self, conversations: Sequence[Messages], batch_size: int) -> list[LossRow]:
        self.conversations = list(conversations)
        return [LossRow(0.0, 0, "no loss") if "4" in c[-1]["content"] else LossRow(6.0, 3) for c in conversations]


def by_row(evaluated: pa.Table) -> dict[str, dict[str, object]]:
    return {row["row_id"]: row for row in evaluated.to_pylist()}


def test_only_the_test_split_is_ever_asked(model_dir: Path, dataset: pa.Table):
    parrot = Parrot()
    evaluated = evaluate_model(model_dir, dataset, SETTINGS, "zero_shot", parrot.engine)
    assert evaluated["row_id"].to_pylist() == [f"test-{i}" for i in range(30)]
    asked = [message["content"] for prompt in parrot.prompts + parrot.conversations for message in prompt]
    assert not [text for text in asked if text.startswith(("train", "validation"))]
    assert [m["role"] for m in parrot.prompts[0]] == ["system", "user"]


def test_each_row_keeps_its_answer_scores_loss_and_length(model_dir: Path, dataset: pa.Table):
    rows = by_row(evaluate_model(model_dir, dataset, SETTINGS, "zero_shot", Parrot().engine))
    assert rows["test-0"] == {
        "row_id": "test-0",
        "answer": "test answer 0",
        "n_tokens": 4,
        "n_characters": 13,
        "stopped": True,
        "error": None,
        "loss_nll": 6.0,
        "loss_tokens": 3,
        "loss_error": None,
        "exact_match": 1.0,
        "numeric_match": 1.0,
        "tldr_exact": None,
    }
    assert (rows["test-5"]["exact_match"], rows["test-5"]["numeric_match"]) == (0.0, 1.0)
    assert rows["test-7"]["stopped"] is False


def test_a_row_that_failed_keeps_its_error_and_gets_no_score(model_dir: Path, dataset: pa.Table):
    rows = by_row(evaluate_model(model_dir, dataset, SETTINGS, "zero_shot", Parrot().engine))
    failed = rows["test-3"]
    assert failed["error"] == "the prompt does not fit"
    assert failed["answer"] is failed["exact_match"] is failed["stopped"] is None
    assert failed["loss_nll"] == 6.0
    assert (rows["test-4"]["loss_nll"], rows["test-4"]["loss_error"]) == (None, "no loss")


def test_few_shot_examples_come_from_training_and_stand_before_the_question(model_dir: Path, dataset: pa.Table):
    parrot = Parrot()
    evaluated = evaluate_model(model_dir, dataset, SETTINGS, "few_shot", parrot.engine)
    prompt = parrot.prompts[2]
    assert [m["role"] for m in prompt] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert all(m["content"].startswith("train") for m in prompt[1:5])
    assert prompt[-1]["content"] == "test question 2"
    assert mode_of(evaluated) == "few_shot"


def test_few_shot_measures_no_loss_because_the_examples_would_count(model_dir: Path, dataset: pa.Table):
    parrot = Parrot()
    evaluated = evaluate_model(model_dir, dataset, SETTINGS, "few_shot", parrot.engine)
    assert evaluated["loss_nll"].null_count == evaluated["loss_error"].null_count == 30
    assert parrot.conversations == []


def test_few_shot_examples_are_of_the_questions_own_kind_where_there_are_enough(model_dir: Path):
    code = [{**row, "id": f"code-{row['id']}"} for row in sft_rows(4, 2, "code")]
    lone = [{**row, "id": f"lone-{row['id']}"} for row in sft_rows(1, 1, "summary")]
    for row in code:
        row["messages"] = [dict(m, content=f"code {m['content']}") for m in row["messages"]]
    parrot = Parrot()
    mixed = table([*sft_rows(8, 2), *code, *lone], SFT)
    evaluate_model(model_dir, mixed, SETTINGS, "few_shot", parrot.engine)
    shown = [{m["content"].startswith("code") for m in prompt[1:5]} for prompt in parrot.prompts]
    assert shown[:2] == [{False}] * 2
    assert shown[2:4] == [{True}] * 2
    assert len(parrot.prompts[4]) == 6


def test_max_rows_takes_the_same_rows_for_every_model(model_dir: Path, dataset: pa.Table):
    settings = SETTINGS.model_copy(update={"max_rows": 10})
    first, second = (evaluate_model(model_dir, dataset, settings, "zero_shot", Parrot().engine) for _ in range(2))
    other = evaluate_model(model_dir, dataset, settings.model_copy(update={"seed": 1}), "zero_shot", Parrot().engine)
    assert first["row_id"].equals(second["row_id"])
    assert first.num_rows == other.num_rows == 10
    assert not first["row_id"].equals(other["row_id"])


def test_an_evaluation_remembers_which_model_it_is_of(model_dir: Path, dataset: pa.Table):
    evaluated = evaluate_model(model_dir, dataset, SETTINGS, "zero_shot", Parrot().engine)
    assert model_of(evaluated) == behaviour_hash(model_dir)


def test_the_hash_covers_weights_and_template_but_not_the_model_card(model_dir: Path):
    before = behaviour_hash(model_dir)
    (model_dir / "README.md").write_text("a card")
    (model_dir / "tunesmith.json").write_text("{}")
    assert behaviour_hash(model_dir) == before
    (model_dir / "chat_template.jinja").write_text("x")
    assert behaviour_hash(model_dir) != before


def test_nothing_to_evaluate_is_an_error_with_the_fix(model_dir: Path):
    with pytest.raises(EvaluationError, match="test split is empty"):
        evaluate_model(model_dir, table(sft_rows(3, 0), SFT), SETTINGS, "zero_shot", Parrot().engine)
    with pytest.raises(EvaluationError, match="the training split has 1 rows"):
        evaluate_model(model_dir, table(sft_rows(1, 3), SFT), SETTINGS, "few_shot", Parrot().engine)


@pytest.mark.parametrize("wrong", [{"metrics": ("bleu",)}, {"metrics": ("chrf", "chrf")}])
def test_unknown_or_doubled_metrics_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match=r"no metric 'bleu'|named twice"):
        EvaluationSettings(**wrong)
