import pytest
from pydantic import TypeAdapter, ValidationError

from steps.errors import ConfigError
from steps.judging.defect_score import DefectSettings, Row, defect_scores
from steps.judging.integrity import score_unchanged
from steps.judging.judges import JudgeSettings, PairwiseSettings, RankingJudgeSettings, make_judge, make_pairwise_judge
from steps.judging.verdict import Item, Unscored
from tests.judging.chat import QUESTION, Chat, graded
from tests.judging.conftest import conversations

MODEL = {"base_url": "http://localhost:1/v1", "model": "grader"}
EVERY = {
    "llm": {"model": MODEL},
    "decision": {"model": MODEL},
    "reward_model": {"model": "no/such-model"},
    "classifier": {"weights_path": "w.npz"},
    "defect": {"embedder": None},
}


def parsed(kind, of=JudgeSettings, **changes):
    return TypeAdapter(of).validate_python({"type": kind, **EVERY[kind], **changes})


@pytest.mark.parametrize(
    ("kind", "name", "scale"),
    [
        ("llm", "llm:grader", (1, 5)),
        ("decision", "decision:grader", (1, 5)),
        ("reward_model", "reward_model:no/such-model", (0, 1)),
        ("classifier", "classifier:w.npz", (0, 1)),
        ("defect", "defect_score", (0, 1)),
    ],
)
def test_every_kind_of_judge_states_its_name_and_scale_before_it_is_made(kind, name, scale):
    settings = parsed(kind)
    assert (settings.judge_name, settings.scale_bounds) == (name, scale)
    assert parsed(kind, name="mine").judge_name == "mine"
    if kind != "classifier":
        judge = make_judge(settings, 7, None)
        assert (judge.name, judge.scale, len(judge.fingerprint) >= 32) == (name, scale, True)


def test_an_unknown_kind_or_key_is_refused():
    with pytest.raises(ValidationError, match="'llm', 'decision', 'reward_model', 'classifier', 'defect'"):
        TypeAdapter(JudgeSettings).validate_python({"type": "oracle"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        parsed("llm", rubrics="helpfulness_v2")
    with pytest.raises(ValidationError, match="helpfulness_v9"):
        parsed("llm", rubric="helpfulness_v9")
    with pytest.raises(ValidationError, match="pairwise_v9"):
        TypeAdapter(PairwiseSettings).validate_python({"type": "llm", "model": MODEL, "prompt": "pairwise_v9"})


@pytest.mark.parametrize("where", [RankingJudgeSettings, PairwiseSettings])
def test_the_defect_score_is_refused_wherever_better_is_told_from_worse(where):
    with pytest.raises(ValidationError, match="neither preferences nor win rates"):
        parsed("defect", of=where)
    with pytest.raises(ValidationError, match="neither preferences nor win rates"):
        TypeAdapter(where).validate_python(parsed("defect"))
    assert parsed("llm", of=where).type == "llm"


def test_a_chat_judge_asks_through_what_it_is_given():
    chat = Chat(lambda request: graded(4))
    assert make_judge(parsed("llm"), 7, None, chat).score([Item("a", QUESTION, "7")])[0].score == 4
    compare = Chat(lambda request: {"rationale": "r", "choice": "A"})
    judge = make_pairwise_judge(parsed("llm", of=PairwiseSettings), 7, None, compare)
    assert (judge.name, len(compare.requests)) == ("llm:grader", 0)


def test_a_missing_key_is_found_when_the_judge_is_made(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    for kind in ("llm", "decision"):
        with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
            make_judge(parsed(kind, model={**MODEL, "api_key_env": "NO_SUCH_KEY"}), 7, None)


def items(n):
    made = conversations(n)
    return [Item(f"id{i}", [{"role": "user", "content": prompt}], answer) for i, (prompt, answer) in enumerate(made)]


def test_the_defect_judge_scores_as_the_detector_does_and_reports_what_it_found():
    judge = make_judge(parsed("defect"), 7, None)
    given = [*items(60), Item("blank", QUESTION, " ")]
    verdicts = score_unchanged(judge, given)
    rows = [Row(one.item_id, one.item_id, one.prompt[0]["content"], one.answer) for one in given[:60]]
    expected = defect_scores(rows, DefectSettings(embedder=None), 7, None)
    assert [one.score for one in verdicts[:60]] == [one.score for one in expected.judgements]
    assert verdicts[0].rationale == expected.judgements[0].rationale
    assert verdicts[60].unscored_reason is Unscored.NO_ANSWER
    assert judge.report == expected.report
    assert judge.fingerprint == expected.judgements[0].judge_version


def test_items_of_one_group_are_scored_by_a_detector_that_saw_none_of_them():
    odd = [
        Item(f"odd{i}", [{"role": "user", "content": "What is the time?"}], "zx qv wkl pfft brr", group_id="one-group")
        for i in range(40)
    ]
    verdicts = make_judge(parsed("defect"), 7, None).score([*items(150), *odd])
    assert max(one.score for one in verdicts[150:]) < 0.5


def test_too_few_items_to_learn_from_stay_unscored():
    verdicts = make_judge(parsed("defect"), 7, None).score(items(10))
    assert {one.unscored_reason for one in verdicts} == {Unscored.TOO_FEW_ROWS_TO_TRAIN}
