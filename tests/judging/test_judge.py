import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import ValidationError

from steps.errors import DropLimitError
from steps.judging.defect_score import DefectSettings
from steps.judging.judge import JudgingSettings, judge_rows
from steps.ledger import reasons
from steps.rows import EXAMPLES, JUDGEMENT, table
from tests.judging.conftest import example

SCORED_EXAMPLES = pa.schema([*EXAMPLES, *JUDGEMENT])
DEFECT = {"judge": "defect", "defect": DefectSettings(embedder=None)}


def scores_by_length(messages):
    """A fake grader: 5 for an answer that holds the word right, 1 for wrong, no JSON otherwise."""
    graded = messages[-1]["content"].split("BEGIN ANSWER")[1]
    score = 5 if "right" in graded else 1 if "wrong" in graded else None
    return "I cannot tell." if score is None else json.dumps({"rationale": "seen", "score": score})


def test_all_rows_get_the_judgement_columns_and_a_score_or_a_reason(examples):
    result = judge_rows(examples, JudgingSettings(**DEFECT))
    assert result.kept.schema.equals(pa.schema([*EXAMPLES, *JUDGEMENT]))
    assert result.kept["id"].to_pylist() == examples["id"].to_pylist()
    has_score, has_reason = pc.is_valid(result.kept["score"]), pc.is_valid(result.kept["unscored_reason"])
    assert pc.all(pc.xor(has_score, has_reason)).as_py()
    assert pc.all(pc.and_(pc.greater_equal(result.kept["score"], 0), pc.less_equal(result.kept["score"], 1))).as_py()
    assert result.ledger.num_rows == examples.num_rows
    assert json.loads(json.dumps(result.report)) == result.report
    assert result.report["detector"]["kinds"]["all"]["auc"] > 0.9
    assert len(result.report["lowest"]) == 20


def test_rows_below_the_bound_go_with_their_score_and_rationale(endpoint, llm_settings):
    rows = table([example("Q", "right", 0), example("Q", "wrong", 1), example("Q", "right too", 2)], EXAMPLES)
    endpoint.answer = scores_by_length
    result = judge_rows(rows, JudgingSettings(judge="llm", llm=llm_settings(), min_score=3))
    assert result.kept["row"].to_pylist() == [0, 2]
    assert result.kept["score"].to_pylist() == [5.0, 5.0]
    dropped = result.ledger.filter(pc.equal(result.ledger["decision"], "dropped")).to_pylist()
    assert [(row["reason"], row["score"]) for row in dropped] == [("below_min_score", 1.0)]
    assert "seen" in dropped[0]["detail"]


def test_a_bound_of_zero_is_a_bound_and_no_bound_keeps_all(examples):
    settings = JudgingSettings(**DEFECT, min_score=0)
    assert judge_rows(examples, settings).kept.num_rows == examples.num_rows
    assert settings.min_score == 0


def test_a_score_of_zero_is_a_score(endpoint, llm_settings, tmp_path):
    rubric = tmp_path / "zero.yaml"
    rubric.write_text(
        "name: zero\nsystem: Grade. $levels\ntemplate: $fence $prompt $answer\nlevels: {0: bad, 1: good}\n"
    )
    endpoint.answer = lambda messages: '{"rationale": "empty talk", "score": 0}'
    llm = llm_settings().model_copy(update={"rubric": str(rubric)})
    rows = table([example("Q", "A", 0)], EXAMPLES)
    result = judge_rows(rows, JudgingSettings(judge="llm", llm=llm, min_score=1, max_drop_fraction=1))
    assert result.ledger["score"].to_pylist() == [0.0]
    assert reasons(result.ledger) == {"below_min_score": 1}


def test_unscored_rows_are_kept_with_their_reason_and_never_dropped_by_the_bound(endpoint, llm_settings):
    rows = table([example("Q", "right", 0), example("Q", "odd", 1)], EXAMPLES)
    endpoint.answer = scores_by_length
    settings = JudgingSettings(judge="llm", llm=llm_settings(), min_score=3, max_unscored_fraction=0.5)
    result = judge_rows(rows, settings)
    assert result.kept["unscored_reason"].to_pylist() == [None, "unparseable_reply"]
    assert result.kept["score"].to_pylist() == [5.0, None]
    remarks = {row["row_id"]: row["reason"] for row in result.ledger.to_pylist()}
    assert remarks[rows["id"][1].as_py()] == "unparseable_reply"
    assert reasons(result.ledger) == {}


def test_too_many_unscored_rows_stop_the_run_with_an_example(endpoint, llm_settings):
    rows = table([example("Q", "right", 0), example("Q", "odd", 1)], EXAMPLES)
    endpoint.answer = scores_by_length
    settings = JudgingSettings(judge="llm", llm=llm_settings(), max_unscored_fraction=0.4)
    with pytest.raises(DropLimitError, match=r"1 of 2 rows unscored.*unparseable_reply: 1.*JSON") as caught:
        judge_rows(rows, settings)
    assert caught.value.ledger.num_rows == 2


def test_too_many_rows_below_the_bound_stop_the_run(endpoint, llm_settings):
    rows = table([example("Q", f"wrong {i}", i) for i in range(4)], EXAMPLES)
    endpoint.answer = scores_by_length
    with pytest.raises(DropLimitError, match="below_min_score: 4"):
        judge_rows(rows, JudgingSettings(judge="llm", llm=llm_settings(), min_score=3))


def test_without_a_judge_all_rows_stay_unscored(examples):
    result = judge_rows(examples, JudgingSettings(judge="none"))
    assert set(result.kept["unscored_reason"].to_pylist()) == {"not_judged"}
    assert result.kept["score"].null_count == examples.num_rows
    assert result.kept.schema.equals(SCORED_EXAMPLES)
    assert set(result.ledger["reason"].to_pylist()) == {"not_judged"}
    assert result.report["n_scored"] == 0
    assert result.report["unscored"] == {"not_judged": examples.num_rows}


def test_a_conversation_without_an_answer_is_unscored_not_judged_by_guess(examples):
    question = example("Q", "A", 999)
    question["messages"] = question["messages"][:1]
    rows = pa.concat_tables([examples, table([question], EXAMPLES)])
    assert judge_rows(rows, JudgingSettings(**DEFECT)).kept["unscored_reason"].to_pylist()[-1] == "no_answer"


def test_an_empty_table_is_judged():
    assert judge_rows(EXAMPLES.empty_table(), JudgingSettings(judge="none")).kept.num_rows == 0


def test_a_second_run_pays_nothing_and_gives_the_same_rows(endpoint, llm_settings):
    rows = table([example("Q", "right", 0), example("Q", "wrong", 1)], EXAMPLES)
    endpoint.answer = scores_by_length
    prices = {"price_per_million_input_usd": 1.0, "price_per_million_output_usd": 1.0}
    first, second = (judge_rows(rows, JudgingSettings(judge="llm", llm=llm_settings(**prices))) for _ in range(2))
    assert second.kept.equals(first.kept)
    assert len(endpoint.bodies) == 2
    assert first.report["paid_usd"] == pytest.approx(first.report["cost_usd"])
    assert second.report["paid_usd"] == 0.0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"judge": "llm"}, "needs the block llm"),
        ({"judge": "none", "min_score": 0.5}, "needs scores"),
        ({"judge": "defect", "min_score": 3}, "outside the judge's scale, 0 to 1"),
        ({"judge": "best"}, "judge"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        JudgingSettings(**settings)


def test_a_bound_outside_the_rubric_is_refused(llm_settings):
    with pytest.raises(ValidationError, match="1 to 5"):
        JudgingSettings(judge="llm", llm=llm_settings(), min_score=0.5)
