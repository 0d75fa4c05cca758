import json

import pytest

from steps.errors import BudgetExceededError, ConfigError, EndpointError, InputError
from steps.judging.decision import DecisionJudge, DecisionSettings, PairwiseDecisionSettings
from steps.judging.decision_client import open_decider
from steps.judging.integrity import compare_unchanged, score_unchanged
from steps.judging.judges import make_judge, make_pairwise_judge
from steps.judging.rubric import load_rubric
from steps.judging.verdict import Item, Pair, Unscored, preference_of, verdict_table
from steps.llm.budget import Budget, BudgetSettings
from tests.judging import models
from tests.judging.chat import QUESTION
from tests.judging.decisions import FakeSystemOne

ITEMS = [Item("a", QUESTION, "eleven"), Item("b", QUESTION, "twelve"), Item("c", QUESTION, " ")]


def by_answer(body, name):
    """4 or 5 for the right answer; clarity is always the highest."""
    if name == "clarity":
        return [0, 0, 0, 0, 1]
    return [0, 0, 0, 0.25, 0.75] if "\neleven\n" in body["state"] else [0.9, 0.1, 0, 0, 0]


@pytest.fixture
def server():
    with FakeSystemOne(by_answer) as running:
        yield running


@pytest.fixture
def model(server, tmp_path):
    return {
        "base_url": server.base_url, "model": "tiny", "backoff_s": 0.001, "max_retries": 2, "timeout_s": 5,
        "cache_path": str(tmp_path / "replies.sqlite"),
    }  # fmt: skip


def judge(model, budget=None, **changes):
    return make_judge(DecisionSettings.model_validate({"type": "decision", "model": model, **changes}), 7, budget)


def test_the_score_is_the_expected_level_with_the_probability_of_each_and_of_each_criterion(server, model):
    verdicts = score_unchanged(judge(model), ITEMS)
    assert [one.score for one in verdicts] == [pytest.approx(4.75), pytest.approx(1.1), None]
    assert verdicts[0].probabilities == pytest.approx({"1": 0, "2": 0, "3": 0, "4": 0.25, "5": 0.75})
    assert verdicts[1].criteria == pytest.approx(
        {"instruction_following": 1.1, "correctness": 1.1, "completeness": 1.1, "clarity": 5.0}
    )
    assert verdicts[2].unscored_reason is Unscored.NO_ANSWER
    row = verdict_table(verdicts).to_pylist()[0]
    assert (row["model"], row["prompt_tokens"], row["prompt_version"]) == ("tiny", 641, "helpfulness_v2")
    assert json.loads(row["raw"])["score"]["type"] == "score"


def test_one_call_asks_all_questions_worst_level_first_about_the_fenced_text(server, model):
    judge(model).score(ITEMS)
    assert len(server.bodies) == 2
    rubric = load_rubric("helpfulness_v2").rubric
    body = server.bodies[0]
    assert list(body["questions"]) == ["score", *rubric.criteria]
    assert body["questions"]["score"]["criteria"] == [rubric.levels[level] for level in (1, 2, 3, 4, 5)]
    assert rubric.criteria["clarity"] in body["questions"]["clarity"]["instructions"]
    assert "BEGIN ANSWER" in body["state"]
    assert "JSON" not in body["state"]


def test_what_was_answered_is_not_asked_again(server, model):
    first = judge(model).score(ITEMS)
    again = judge(model).score(ITEMS)
    assert len(server.bodies) == 2
    assert [one.score for one in again] == [one.score for one in first]
    assert [one.reply.cached for one in again[:2]] == [True, True]


def test_passing_faults_are_tried_again_and_lasting_ones_leave_only_their_row_unscored(server, model):
    server.faults.extend([(503, "busy"), (200, "<html>"), None, (500, "a"), (500, "b"), (500, "out of memory")])
    verdicts = judge({**model, "max_concurrency": 1}).score(ITEMS)
    assert verdicts[0].reply.attempts == 3
    assert verdicts[1].unscored_reason is Unscored.ENDPOINT_FAILED
    assert "out of memory" in verdicts[1].detail


def test_a_refused_row_is_not_tried_again(server, model):
    server.faults.append((422, "bad state"))
    verdicts = judge({**model, "max_concurrency": 1}).score(ITEMS)
    assert (verdicts[0].unscored_reason, verdicts[0].reply.attempts) == (Unscored.ENDPOINT_FAILED, 1)
    assert verdicts[1].score is not None


def test_an_endpoint_that_cannot_serve_any_row_stops_the_run(server, model, monkeypatch):
    with pytest.raises(EndpointError, match=r"'other'.*pinned to tiny"):
        judge({**model, "model": "other"}).score(ITEMS)
    with pytest.raises(EndpointError, match="404"):
        judge({**model, "base_url": f"{server.base_url}/no"}).score(ITEMS)
    with pytest.raises(EndpointError, match="cannot be reached"):
        judge({**model, "base_url": "http://127.0.0.1:9/v1"}).score(ITEMS)
    monkeypatch.setenv("DECISION_KEY", "k")
    judge({**model, "api_key_env": "DECISION_KEY"}).score(ITEMS)
    assert server.keys[-1] == "Bearer k"


def test_probabilities_that_are_none_leave_the_item_unscored(server, model):
    bad = {
        "model": "tiny",
        "answers": {
            name: {"probabilities": {"0": 1.0}} for name in ("score", *load_rubric("helpfulness_v2").rubric.criteria)
        },
    }
    server.faults.append((200, json.dumps(bad)))
    verdicts = judge({**model, "max_concurrency": 1}).score(ITEMS)
    assert verdicts[0].unscored_reason is Unscored.UNPARSEABLE_REPLY
    assert verdicts[0].reply is not None


def test_the_budget_is_kept_and_what_was_answered_before_is_free(server, model):
    with pytest.raises(BudgetExceededError, match="max_tokens"):
        judge(model, Budget(BudgetSettings(max_tokens=1000))).score(ITEMS)
    budget = Budget(BudgetSettings(max_tokens=10**6))
    judge(model, budget).score(ITEMS)
    assert budget.spent_tokens == 2 * 641
    judge(model, Budget(BudgetSettings(max_tokens=0))).score(ITEMS)


def test_a_rubric_for_chat_models_only_is_refused(model):
    with pytest.raises(ConfigError, match="question"):
        judge(model, rubric="helpfulness_v1")


def test_the_fingerprint_is_of_model_and_prompt():
    def made(**changes):
        values = {"type": "decision", "model": {"base_url": "http://x/v1", "model": "m"}, **changes}
        return DecisionJudge(DecisionSettings.model_validate(values), 7, lambda requests: []).fingerprint

    assert made() == made(name="other", model={"base_url": "http://y/v1", "model": "m"})
    assert len({made(), made(rubric="code_v1"), made(model={"base_url": "http://x/v1", "model": "n"})}) == 3


def test_pairs_are_asked_in_both_orders_and_a_tie_counts_half(tmp_path):
    def decide(body, name):
        assert name == "choice"
        first = body["state"].split("BEGIN ANSWER A")[1].split("END ANSWER A")[0]
        return [0.6, 0.2, 0.2] if "\neleven\n" in first else [0.1, 0.5, 0.4]

    with FakeSystemOne(decide) as server:
        model = {"base_url": server.base_url, "model": "tiny", "cache_path": None}
        settings = PairwiseDecisionSettings.model_validate({"type": "decision", "model": model})
        pairs = [Pair("p", QUESTION, "eleven", "twelve"), Pair("q", QUESTION, "eleven", "")]
        verdicts = compare_unchanged(make_pairwise_judge(settings, 7, None), pairs)
    (ab, ba), (blank, _) = verdicts
    assert (ab.score, ba.score) == (pytest.approx(0.7), pytest.approx(0.3))
    assert ab.probabilities == pytest.approx({"A": 0.6, "B": 0.2, "tie": 0.2})
    assert preference_of(ab, ba) == (pytest.approx(0.7), True)
    assert blank.unscored_reason is Unscored.NO_ANSWER
    assert server.bodies[0]["questions"]["choice"]["type"] == "choice"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return models.causal_model(tmp_path_factory.mktemp("causal"))


def test_the_same_works_within_this_process_and_is_kept(folder, tmp_path):
    model = {"type": "transformers", "model": folder, "device": "cpu", "cache_path": str(tmp_path / "r.sqlite")}
    budget = Budget()
    verdicts = score_unchanged(judge(model, budget), ITEMS)
    assert [one.unscored_reason for one in verdicts] == [None, None, Unscored.NO_ANSWER]
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in verdicts[:2])
    assert verdicts[0].score == pytest.approx(sum(int(k) * p for k, p in verdicts[0].probabilities.items()))
    assert verdicts[0].reply.prompt_tokens * 2 == pytest.approx(budget.spent_tokens, rel=0.01)
    again = judge({**model, "model": folder}).score(ITEMS)
    assert [one.score for one in again] == [one.score for one in verdicts]
    assert again[0].reply.cached


def test_within_this_process_what_is_too_long_is_unscored_and_never_cut(folder):
    decide = open_decider(
        DecisionSettings.model_validate(
            {
                "type": "decision",
                "model": {"type": "transformers", "model": folder, "device": "cpu", "cache_path": None},
            }
        ).model,
        None,
    )
    settings = DecisionSettings.model_validate({"type": "decision", "model": {"type": "transformers", "model": folder}})
    short, long = DecisionJudge(settings, 7, decide).score([ITEMS[0], Item("x", QUESTION, "a" * 9000)])
    assert (short.unscored_reason, long.unscored_reason) == (None, Unscored.TOO_LONG)


def test_a_folder_without_a_model_is_refused(tmp_path):
    model = {"type": "transformers", "model": str(tmp_path), "device": "cpu", "cache_path": None}
    with pytest.raises(InputError, match="cannot be loaded"):
        judge(model).score(ITEMS)
