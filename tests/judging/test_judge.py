import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import ValidationError

from steps.errors import BudgetExceededError, ConfigError, DropLimitError, InputError
from steps.judging.asking import without_asking
from steps.judging.calibration import (
    Calibration,
    JudgeCalibration,
    JuryCalibration,
    jury_fingerprint,
    write_calibration,
)
from steps.judging.judge import check_judges, judge_rows
from steps.judging.judging_settings import JudgingSettings
from steps.judging.verdict import Unscored, Verdict
from steps.ledger import reasons
from steps.rows import DOCUMENTS, EXAMPLES, JUDGEMENT, VERDICTS, table
from tests.judging.chat import graded
from tests.judging.conftest import example

DEFECT = {"judges": [{"type": "defect", "embedder": None}]}
FREE = {"accept_uncalibrated": True}


def by_word(messages):
    """A grader that gives 5 for an answer that holds the word right, 1 for wrong, and no JSON otherwise."""
    answer = messages[-1]["content"].split("BEGIN ANSWER")[1]
    score = 5 if "right" in answer else 1 if "wrong" in answer else None
    return "I cannot tell." if score is None else json.dumps(graded(score))


def rows_of(*answers, **columns):
    return table([{**example("Q", answer, i), **columns} for i, answer in enumerate(answers)], EXAMPLES)


class ByTable:
    """A judge by hand, which looks the score of each answer up."""

    def __init__(self, settings, scores):
        self.name, self.scale, self.fingerprint = (
            settings.judge_name,
            settings.scale_bounds,
            f"of {settings.judge_name}",
        )
        self.scores, self.report = scores, {}

    def score(self, items):
        return [self._verdict(item, self.scores.get(item.answer)) for item in items]

    def _verdict(self, item, score):
        why = None if score is not None else Unscored.ENDPOINT_FAILED
        return Verdict(item.item_id, self.name, self.fingerprint, score, why, rationale=f"{self.name} says {score}")


def jury(llm_judge, **changes):
    judges = [llm_judge(name=name) for name in ("a", "b", "c")]
    return JudgingSettings(judges=judges, max_unscored_fraction=1, **changes)


def made_of(**scores):
    return lambda settings, seed, budget, complete=None: ByTable(settings, scores[settings.name])


def known(name, agreement, n=200, **changes):
    return JudgeCalibration(
        judge=name, task="pointwise", agreement=agreement, low=agreement - 0.05, high=1.0, n=n, kappa=0.6, **changes
    )


def calibrated(path, settings, agreement, weights=()):
    """Write a calibration of the settings' judges as they are; `weights` makes one of their jury, too."""
    prints = [judge.fingerprint for judge in without_asking(settings.judges, settings.seed)]
    names = [judge.judge_name for judge in settings.judges]
    juries = {}
    if weights:
        of_jury = JuryCalibration(
            weights=dict(zip(prints, weights, strict=True)),
            members=dict(zip(prints, names, strict=True)),
            weighted=known("jury", agreement),
            majority=known("jury", agreement - 0.2),
            best=known("best", agreement - 0.1),
        )
        juries = {jury_fingerprint(prints): of_jury}
    judges = {one: known(name, agreement) for one, name in zip(prints, names, strict=True)}
    write_calibration(Calibration(judges=judges, juries=juries), path)
    return str(path)


def test_all_rows_get_the_judgement_columns_and_a_score_or_a_reason(examples):
    result = judge_rows(examples, JudgingSettings(**DEFECT))
    assert result.kept.schema.equals(pa.schema([*EXAMPLES, *JUDGEMENT]))
    assert result.kept.select(EXAMPLES.names).equals(examples)
    has_score, has_reason = pc.is_valid(result.kept["score"]), pc.is_valid(result.kept["unscored_reason"])
    assert pc.all(pc.xor(has_score, has_reason)).as_py()
    assert pc.min(result.kept["score"]).as_py() >= 0
    assert result.ledger["score"].equals(result.kept["score"])
    assert json.loads(json.dumps(result.report)) == result.report
    assert result.report["detector"]["kinds"]["all"]["auc"] > 0.9
    assert sum(bar["n"] for bar in result.report["distribution"]) == examples.num_rows
    lowest = [row["score"] for row in result.report["lowest"]]
    assert lowest == sorted(result.kept["score"].to_pylist())[:10]


def test_every_judges_say_on_every_row_is_kept_with_its_raw_reply_and_cost(endpoint, llm_judge):
    endpoint.answer = by_word
    prices = {"price_per_million_input_usd": 1.0, "price_per_million_output_usd": 10.0}
    judges = [llm_judge("m1", **prices), llm_judge("m2", **prices)]
    result = judge_rows(rows_of("right", "wrong"), JudgingSettings(judges=judges))
    assert result.verdicts.schema.equals(VERDICTS)
    assert result.verdicts["judge"].to_pylist() == ["llm:m1", "llm:m1", "llm:m2", "llm:m2"]
    assert result.verdicts["score"].to_pylist() == [5.0, 1.0, 5.0, 1.0]
    assert json.loads(result.verdicts["raw"][0].as_py()) == graded(5)
    assert result.kept["cost_usd"].to_pylist() == pytest.approx([400e-6] * 2)
    assert sum(model["cost_usd"] for model in result.report["usage"].values()) == pytest.approx(800e-6)
    assert result.report["paid_usd"] == pytest.approx(800e-6)


def test_the_models_of_a_jury_are_asked_side_by_side(endpoint, llm_judge):
    endpoint.answer, endpoint.latency_s = by_word, 0.2
    judges = [llm_judge(model, max_concurrency=1) for model in ("m1", "m2")]
    judge_rows(rows_of("right", "wrong"), JudgingSettings(judges=judges))
    assert endpoint.most_in_flight == 2
    assert sorted(body["model"] for body in endpoint.bodies) == ["m1", "m1", "m2", "m2"]


def test_judges_of_one_model_share_its_limits(endpoint, llm_judge):
    endpoint.answer, endpoint.latency_s = by_word, 0.05
    judges = [
        llm_judge(name=name, rubric=rubric, max_concurrency=1)
        for name, rubric in (("a", "helpfulness_v2"), ("b", "helpfulness_v1"))
    ]
    result = judge_rows(rows_of("right", "wrong"), JudgingSettings(judges=judges))
    assert endpoint.most_in_flight == 1
    assert result.kept["score"].to_pylist() == [1.0, 0.0]


def test_a_jury_scores_on_one_scale_and_says_how_far_its_members_are_apart(llm_judge):
    make = made_of(a={"x": 5, "y": 1}, b={"x": 4, "y": 5}, c={"x": 5, "y": None})
    result = judge_rows(rows_of("x", "y"), jury(llm_judge, aggregate="mean"), make=make)
    assert result.kept["score"].to_pylist() == pytest.approx([(1 + 0.75 + 1) / 3, 0.5])
    assert result.kept["disagreement"].to_pylist() == [0.25, 1.0]
    assert result.kept["judge"].to_pylist() == ["jury:mean"] * 2
    assert "a: a says 5\nb: b says 4" in result.kept["rationale"][0].as_py()
    assert result.ledger["detail"][1].as_py() == "a 0, b 1, c: endpoint_failed"
    found = result.report["jury"]
    assert [(pair["first"], pair["second"], pair["n"]) for pair in found["members"]] == [
        ("a", "b", 2),
        ("a", "c", 1),
        ("b", "c", 1),
    ]
    assert [row["votes"] for row in found["most_disagreement"]] == [
        {"a": 0.0, "b": 1.0},
        {"a": 1.0, "b": 0.75, "c": 1.0},
    ]


def test_a_row_without_a_quorum_is_unscored(llm_judge):
    make = made_of(a={"x": 5}, b={}, c={})
    result = judge_rows(rows_of("x"), jury(llm_judge), make=make)
    assert result.kept["unscored_reason"].to_pylist() == ["too_few_judges"]
    assert judge_rows(rows_of("x"), jury(llm_judge, quorum=1), make=make).kept["score"].to_pylist() == [1.0]


def test_rows_below_the_bound_go_with_score_border_and_rationale(endpoint, llm_judge):
    endpoint.answer = by_word
    settings = JudgingSettings(judges=[llm_judge()], select={"min_score": 3}, **FREE)
    result = judge_rows(rows_of("right", "wrong", "right too"), settings)
    assert result.kept["row"].to_pylist() == [0, 2]
    (dropped,) = result.ledger.filter(pc.equal(result.ledger["decision"], "dropped")).to_pylist()
    assert (dropped["reason"], dropped["score"], dropped["detail"]) == ("below_min_score", 1.0, "min_score=3: seen")
    funnel = result.report["selection"]
    assert funnel["total"] == {"n_in": 3, "n_unscored": 0, "n_above": 2, "n_below": 1, "n_kept": 2}
    assert [row["answer"] for row in funnel["below"]] == ["wrong"]
    assert [row["answer"] for row in funnel["above"]] == ["right", "right too"]
    assert result.verdicts.num_rows == 3


def test_the_best_of_each_source_stay_and_the_ledger_names_the_border_and_the_votes(llm_judge):
    scores = {"x": 5, "y": 2, "z": 4, "v": 1}
    rows = table(
        [
            {**example("Q", answer, i), "source": source}
            for i, (answer, source) in enumerate(zip("xyzv", "aabb", strict=True))
        ],
        EXAMPLES,
    )
    settings = jury(llm_judge, select={"top_k": 1, "per": "source"}, max_drop_fraction=0.1, **FREE)
    result = judge_rows(rows, settings, make=made_of(a=scores, b=scores, c=scores))
    assert result.kept["row"].to_pylist() == [0, 2]
    dropped = {row["row_id"]: row for row in result.ledger.to_pylist() if row["decision"] == "dropped"}
    assert reasons(result.ledger) == {"below_top_k": 2}
    assert dropped[rows["id"][1].as_py()]["detail"] == "top_k=1 per source, border 1: a 0.25, b 0.25, c 0.25"
    assert dropped[rows["id"][3].as_py()]["detail"] == "top_k=1 per source, border 0.75: a 0, b 0, c 0"
    kept = {row["row_id"]: row["score"] for row in result.ledger.to_pylist() if row["decision"] == "kept"}
    assert kept == dict(zip(result.kept["id"].to_pylist(), [1.0, 0.75], strict=True))
    by = {(entry["by"], entry["name"]): entry["n_kept"] for entry in result.report["selection"]["by"]}
    assert by == {("source", "a"): 1, ("source", "b"): 1, ("kind", "imported"): 2}


def test_unscored_rows_are_kept_with_their_reason_and_never_dropped_by_the_bound(endpoint, llm_judge):
    endpoint.answer = by_word
    settings = JudgingSettings(judges=[llm_judge()], select={"min_score": 3}, max_unscored_fraction=0.5, **FREE)
    rows = rows_of("right", "odd")
    result = judge_rows(rows, settings)
    assert result.kept["unscored_reason"].to_pylist() == [None, "unparseable_reply"]
    assert result.ledger["reason"].to_pylist() == [None, "unparseable_reply"]
    assert reasons(result.ledger) == {}
    assert result.verdicts["raw"][1].as_py() == "I cannot tell."


def test_too_many_unscored_rows_stop_the_run_with_an_example(endpoint, llm_judge):
    endpoint.answer = by_word
    settings = JudgingSettings(judges=[llm_judge()], max_unscored_fraction=0.4)
    with pytest.raises(DropLimitError, match=r"1 of 2 rows unscored.*unparseable_reply: 1.*JSON") as caught:
        judge_rows(rows_of("right", "odd"), settings)
    assert caught.value.ledger.num_rows == 2


def test_too_many_rows_below_the_bound_stop_the_run(endpoint, llm_judge):
    endpoint.answer = by_word
    settings = JudgingSettings(judges=[llm_judge()], select={"min_score": 3}, **FREE)
    with pytest.raises(DropLimitError, match="below_min_score: 4"):
        judge_rows(rows_of(*(f"wrong {i}" for i in range(4))), settings)


def test_without_a_judge_all_rows_stay_unscored(examples):
    result = judge_rows(examples, JudgingSettings(judges=[]))
    assert set(result.kept["unscored_reason"].to_pylist()) == {"not_judged"}
    assert result.kept.schema.equals(pa.schema([*EXAMPLES, *JUDGEMENT]))
    assert set(result.ledger["reason"].to_pylist()) == {"not_judged"}
    assert result.verdicts.equals(VERDICTS.empty_table())
    assert result.report["unscored"] == {"not_judged": examples.num_rows}
    assert judge_rows(EXAMPLES.empty_table(), JudgingSettings(judges=[])).kept.num_rows == 0
    assert judge_rows(EXAMPLES.empty_table(), JudgingSettings(**DEFECT)).kept.num_rows == 0


def test_a_conversation_without_an_answer_is_unscored_not_judged_by_guess(examples):
    question = example("Q", "A", 999)
    question["messages"] = question["messages"][:1]
    rows = pa.concat_tables([table([question], EXAMPLES), examples])
    result = judge_rows(rows, JudgingSettings(**DEFECT))
    assert result.kept["unscored_reason"].to_pylist()[:2] == ["no_answer", None]
    assert "assistant" in result.ledger["detail"][0].as_py()
    assert result.verdicts.num_rows == examples.num_rows


def test_a_second_run_pays_nothing_and_gives_the_same_rows(endpoint, llm_judge):
    endpoint.answer = by_word
    prices = {"price_per_million_input_usd": 1.0, "price_per_million_output_usd": 1.0}
    settings = JudgingSettings(judges=[llm_judge(**prices)])
    first, second = (judge_rows(rows_of("right", "wrong"), settings) for _ in range(2))
    assert second.kept.equals(first.kept)
    assert len(endpoint.bodies) == 2
    assert first.report["paid_usd"] == pytest.approx(first.report["cost_usd"])
    assert second.report["paid_usd"] == 0.0


def test_one_budget_holds_for_all_judges(endpoint, llm_judge):
    endpoint.answer = by_word
    judges = [llm_judge(model, max_tokens=64) for model in ("m1", "m2")]
    with pytest.raises(BudgetExceededError, match=r"budget\.max_tokens=100"):
        judge_rows(rows_of("right"), JudgingSettings(judges=judges, budget={"max_tokens": 100}))


def test_a_rubric_of_grounding_sees_the_span_that_the_row_was_made_from(endpoint, llm_judge):
    endpoint.answer = by_word
    document = {"id": "d", "text": "Boats need paint. Masts need care.", "source": "s", "path": "p", "format": "text"}
    rows = rows_of("right", document_id="d", span_start=0, span_end=17)
    settings = JudgingSettings(judges=[llm_judge(rubric="grounded_v1")], max_unscored_fraction=1)
    assert judge_rows(rows, settings, table([document], DOCUMENTS)).verdicts["unscored_reason"].to_pylist() != [
        "no_reference"
    ]
    asked = endpoint.bodies[-1]["messages"][-1]["content"]
    assert "Boats need paint." in asked
    assert "Masts" not in asked
    assert judge_rows(rows, settings).verdicts["unscored_reason"].to_pylist() == ["no_reference"]


def test_a_judge_of_the_generators_family_is_named(endpoint, llm_judge):
    endpoint.answer = by_word
    rows = rows_of("right", generator="meta-llama/Llama-3.1-8B-Instruct")
    warned = judge_rows(rows, JudgingSettings(judges=[llm_judge("llama-4-scout")])).report["warnings"]
    assert any("one family" in one for one in warned)
    warned = judge_rows(rows, JudgingSettings(judges=[llm_judge("qwen-3")])).report["warnings"]
    assert not any("one family" in one for one in warned)


def test_ties_at_the_border_are_warned_of(llm_judge):
    answers = [f"a{i}" for i in range(40)]
    settings = jury(llm_judge, select={"top_fraction": 0.5}, **FREE)
    scores = dict.fromkeys(answers, 4)
    result = judge_rows(rows_of(*answers), settings, make=made_of(a=scores, b=scores, c=scores))
    assert result.kept.num_rows == 20
    assert any("40 rows tie at the border" in one for one in result.report["warnings"])
    assert any("hardly tells them apart" in one for one in result.report["warnings"])


def test_a_filter_that_nobody_compared_with_people_is_refused_before_anything_is_asked(endpoint, llm_judge):
    settings = JudgingSettings(judges=[llm_judge()], select={"min_score": 3})
    with pytest.raises(ConfigError, match=r"never compared with people.*tunesmith calibrate.*accept_uncalibrated"):
        check_judges(settings)
    with pytest.raises(ConfigError, match="never compared"):
        judge_rows(rows_of("right"), settings)
    assert endpoint.bodies == []


def test_a_judge_that_scores_only_is_free_and_the_override_warns(llm_judge):
    (said,) = check_judges(JudgingSettings(judges=[llm_judge()])).warnings
    assert "dropped" not in said
    (said,) = check_judges(JudgingSettings(judges=[llm_judge()], select={"min_score": 3}, **FREE)).warnings
    assert "accept_uncalibrated" in said


def test_a_judge_filters_where_people_agree_with_it_and_only_as_it_was_calibrated(llm_judge, tmp_path):
    one = {"judges": [llm_judge()], "select": {"min_score": 3}}
    path = calibrated(tmp_path / "c.json", JudgingSettings(**one), 0.9)
    settings = JudgingSettings(**one, calibration_path=path)
    assert check_judges(settings).warnings == []
    assert settings.files == [path]
    with pytest.raises(ConfigError, match=r"0\.90 of 200 answers.*below min_agreement=0\.95"):
        check_judges(settings.model_copy(update={"min_agreement": 0.95}))
    other = JudgingSettings(**{**one, "judges": [llm_judge(rubric="helpfulness_v1")]}, calibration_path=path)
    with pytest.raises(ConfigError, match="never compared with people as it is configured now"):
        check_judges(other)
    with pytest.raises(InputError, match="does not exist"):
        check_judges(JudgingSettings(**one, calibration_path=str(tmp_path / "none.json")))


def test_an_uncalibrated_jury_always_warns_and_good_members_do_not_make_it_known(llm_judge, tmp_path):
    judges = {"judges": [llm_judge(name="a"), llm_judge("m2", name="b")]}
    assert "share a bias" in check_judges(JudgingSettings(**judges)).warnings[0]
    path = calibrated(tmp_path / "c.json", JudgingSettings(**judges), 0.9)
    filtering = {**judges, "select": {"top_k": 1}, "calibration_path": path}
    with pytest.raises(ConfigError, match="share a bias"):
        check_judges(JudgingSettings(**filtering))
    with pytest.raises(ConfigError, match="no weights for the jury a, b"):
        check_judges(JudgingSettings(**filtering, aggregate="weighted"))


def test_a_weighted_jury_uses_learned_weights_and_is_trusted_as_a_weighted_one(endpoint, llm_judge, tmp_path):
    endpoint.answer = by_word
    judges = {"judges": [llm_judge(name="a"), llm_judge("m2", name="b")], "select": {"min_score": 0.5}}
    path = calibrated(tmp_path / "c.json", JudgingSettings(**judges, **FREE), 0.9, weights=(1.0, 0.0))
    with pytest.raises(ConfigError, match=r"\(median\) agrees with people on 0\.70"):
        check_judges(JudgingSettings(**judges, calibration_path=path))
    result = judge_rows(
        rows_of("right", "wrong"), JudgingSettings(**judges, calibration_path=path, aggregate="weighted")
    )
    assert result.kept["row"].to_pylist() == [0]
    assert result.report["jury"]["weights"] == {"a": 1.0, "b": 0.0}
    assert result.report["jury"]["agreement"]["agreement"] == 0.9
    assert any("b weighs 0" in one for one in result.report["warnings"])


def test_the_defect_detector_needs_no_calibration(examples):
    settings = JudgingSettings(**DEFECT, select={"top_fraction": 0.5})
    assert check_judges(settings).warnings == []
    assert judge_rows(examples, settings).kept.num_rows == 60


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"judges": [], "select": {"min_score": 0.5}}, "needs scores"),
        ({**DEFECT, "select": {"min_score": 3}}, "outside the judge's scale, 0 to 1"),
        ({"judges": [{"type": "defect"}, {"type": "defect"}]}, "two judges are called 'defect_score'"),
        ({"judges": [{"type": "best"}]}, "best"),
        ({**DEFECT, "quorum": 2}, "can never be reached"),
        (
            {"judges": [{"type": "defect"}, {"type": "defect", "name": "b"}], "aggregate": "weighted"},
            "calibration_path",
        ),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        JudgingSettings(**settings)


def test_a_bound_outside_of_the_scale_and_a_budget_without_prices_are_refused(llm_judge):
    with pytest.raises(ValidationError, match="1 to 5"):
        JudgingSettings(judges=[llm_judge()], select={"min_score": 0.5})
    with pytest.raises(ValidationError, match="a jury's scale, 0 to 1"):
        JudgingSettings(judges=[llm_judge(), llm_judge("m2")], select={"min_score": 3})
    with pytest.raises(ValidationError, match="without prices"):
        JudgingSettings(judges=[llm_judge()], budget={"max_cost_usd": 1})
