import itertools

import pytest
from pydantic import ValidationError

from steps.chat.generation import Generated
from steps.ledger import reasons
from steps.preference.build import PreferenceSettings, build_preferences
from steps.preference.sampled import choose_prompts
from steps.preference.sampled_settings import SampledSettings
from steps.preference.sampling import SamplingSettings
from tests.preference.conftest import answers, preferences, row, sft
from tests.preference.judges import judged

GOOD, HALF, BAD = "## TL;DR\n- pump failed\n- crane idle", "## TL;DR\n- pump failed", "Nothing happened."
DATASET = sft(
    row("a", "Summarise note A", GOOD),
    row("v", "Summarise note V", GOOD, "validation"),
    row("t", "Summarise note T", GOOD, "test"),
)


def build(samples, dataset=DATASET, **settings):
    """Sample from a list: one list of answers per training prompt."""
    prompts_seen = []

    def sample(prompts, generation):
        prompts_seen.extend(prompts)
        return [list(generated) for generated in samples]

    sampled = SampledSettings(**{"ranker": "check:tldr_facts", **settings})
    result = build_preferences(
        preferences(), dataset, sample, PreferenceSettings(imported=False, sampled=sampled, max_drop_fraction=1)
    )
    return result, prompts_seen


def test_the_best_sample_is_chosen_over_the_worst():
    result, prompts = build([answers(HALF, BAD, GOOD)])
    assert prompts == [[{"role": "user", "content": "Summarise note A"}]]
    (pair,) = result.kept.to_pylist()
    assert pair["chosen"] == [{"role": "assistant", "content": GOOD}]
    assert pair["rejected"] == [{"role": "assistant", "content": BAD}]
    assert (pair["ranker"], pair["chosen_score"], pair["rejected_score"]) == ("check:tldr_facts", 1.0, 0.0)
    assert (pair["example_id"], pair["source"], pair["path"]) == ("a", "notes", "a.md")
    (entry,) = result.ledger.to_pylist()
    assert (entry["row_id"], entry["decision"], entry["evidence_id"], entry["score"]) == ("a", "kept", pair["id"], 1.0)


def test_the_position_of_a_sample_decides_nothing_also_among_equals():
    tied = ("## TL;DR\n- pump failed\n- crane idle\n", GOOD, BAD, "Nothing at all.", HALF)
    tables = [build([answers(*order)])[0].kept for order in itertools.permutations(tied)]
    assert all(table.equals(tables[0]) for table in tables)


def test_only_training_prompts_are_sampled():
    _, prompts = build([answers(GOOD, BAD)])
    assert [prompt[-1]["content"] for prompt in prompts] == ["Summarise note A"]


@pytest.mark.parametrize(
    ("generated", "reason"),
    [
        (answers(GOOD, GOOD), "no_margin"),
        (answers(BAD, "Really nothing."), "no_margin"),
        (answers(GOOD), "no_margin"),
        (answers(GOOD, BAD, stopped=False), "unfinished_samples"),
        (answers("", " "), "unfinished_samples"),
        ([Generated("", 0, False, "the prompt has 900 tokens")] * 2, "generation_failed"),
        ([], "generation_failed"),
    ],
)
def test_a_prompt_without_a_pair_is_in_the_ledger_with_the_reason(generated, reason):
    result, _ = build([generated])
    assert result.kept.num_rows == 0
    assert reasons(result.ledger) == {reason: 1}
    assert result.ledger["detail"][0].as_py()


def test_an_unfinished_sample_is_neither_chosen_nor_rejected():
    result, _ = build([answers(GOOD, HALF) + answers(BAD, stopped=False)], min_margin=0.1)
    assert result.kept.to_pylist()[0]["rejected"][0]["content"] == HALF


def test_the_margin_decides_at_its_bound():
    fact_score_of_half = pytest.approx(2 / 3)
    result, _ = build([answers(GOOD, HALF)], min_margin=0.4)
    assert reasons(result.ledger) == {"no_margin": 1}
    result, _ = build([answers(GOOD, HALF)], min_margin=1 / 3)
    assert result.kept["rejected_score"].to_pylist() == [fact_score_of_half]


def test_a_best_sample_below_the_bound_is_not_chosen():
    result, _ = build([answers(HALF, BAD)], min_chosen_score=0.9)
    assert reasons(result.ledger) == {"best_too_low": 1}


def test_the_curated_answer_is_chosen_only_where_no_sample_passes():
    result, _ = build([answers(HALF, BAD)], reference_as_chosen=True)
    (pair,) = result.kept.to_pylist()
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == (GOOD, BAD)
    reworded = "## TL;DR\n- crane idle\n- pump failed"
    result, _ = build([answers(reworded, BAD)], reference_as_chosen=True)
    assert result.kept.to_pylist()[0]["chosen"][0]["content"] == reworded


def test_a_row_whose_answer_the_check_cannot_judge_is_named():
    dataset = sft(row("a", "Say hello", "Hello"), row("t", "Bye", "Bye", "test"))
    result, _ = build([answers("1", "2")], dataset, ranker="check:numeric_match")
    assert reasons(result.ledger) == {"not_checkable": 1}


def test_prompts_are_chosen_by_kind_and_seed_and_not_by_place():
    rows = [row(f"r{i}", f"Q{i}", GOOD, kind="summary" if i % 2 else "list") for i in range(40)]
    settings = SampledSettings(ranker="check:tldr_facts", kinds=("summary",), max_prompts=5)
    chosen = set(choose_prompts(sft(*rows), settings, 1)["id"].to_pylist())
    assert len(chosen) == 5
    assert all(int(name[1:]) % 2 for name in chosen)
    assert set(choose_prompts(sft(*reversed(rows)), settings, 1)["id"].to_pylist()) == chosen
    assert set(choose_prompts(sft(*rows), settings, 2)["id"].to_pylist()) != chosen


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"ranker": "defect"}, "never makes preferences"),
        ({"ranker": "check:defect_score"}, "never makes preferences"),
        ({"ranker": "judge:defect_score"}, "never makes preferences"),
        ({"ranker": "check:beauty"}, "tldr_facts"),
        ({"ranker": "judge"}, "not `judges`"),
        ({"ranker": "judges"}, "needs judges"),
        ({"ranker": "judges", "judges": [{"type": "defect"}]}, "makes neither preferences"),
        ({"ranker": "pairwise"}, "needs the block pairwise"),
        ({"ranker": "pairwise", "pairwise": {"type": "defect"}}, "makes neither preferences"),
        (judged("a", "a"), "share a name"),
        ({**judged("a", "b"), "quorum": 3}, "more than the 2 judges"),
        ({**judged("a"), "reference_as_chosen": True}, "needs a check"),
        ({**judged("a"), "pairing": "right_vs_wrong"}, "needs a check"),
        ({"ranker": "check:tldr_facts", "generation": {"temperatures": [0.1, 0.2, 0.3, 0.4, 0.5]}}, "unused"),
        ({"ranker": "check:tldr_facts", "min_margin": 0}, "greater than 0"),
        ({"ranker": "check:tldr_facts", "generation": {"samples_per_prompt": 1}}, "greater than or equal to 2"),
    ],
)
def test_settings_that_make_no_honest_pairs_are_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        SampledSettings(**settings)


def test_a_partly_given_generation_block_stays_warm():
    generation = SampledSettings(ranker="check:tldr_facts", generation={"max_new_tokens": 64}).generation
    assert (generation.max_new_tokens, generation.temperature, generation.samples_per_prompt) == (64, 0.8, 4)


def test_settings_without_any_origin_are_refused():
    with pytest.raises(ValidationError, match="no preferences"):
        PreferenceSettings(imported=False)


def test_samples_are_spread_over_the_temperatures_each_with_a_seed_of_its_own():
    generation = SamplingSettings(temperatures=(0.7, 1.0), samples_per_prompt=5, seed=3, max_new_tokens=9)
    spread = [(one.temperature, one.samples_per_prompt, one.seed) for one in generation.at_each_temperature()]
    assert spread == [(0.7, 3, 3), (1.0, 2, 4)]
    assert {one.max_new_tokens for one in generation.at_each_temperature()} == {9}


def test_one_temperature_samples_as_it_always_did():
    (only,) = SamplingSettings(temperature=1.0, samples_per_prompt=4, seed=3).at_each_temperature()
    assert (only.temperature, only.samples_per_prompt, only.seed) == (1.0, 4, 3)


def test_a_prompt_near_the_test_split_is_not_sampled():
    near = row("n", "Summarise the long note about the harbour crane and pump please", GOOD)
    test = row("t", "Summarise the long note about the harbour crane and the pump please", GOOD, "test")
    dataset = sft(row("a", "Summarise note A", GOOD), near, test)
    sampled = SampledSettings(ranker="check:tldr_facts")
    prompts_seen = []

    def sample(prompts, generation):
        prompts_seen.extend(prompts)
        return [answers(GOOD, BAD) for _ in prompts]

    settings = PreferenceSettings(imported=False, sampled=sampled, max_prompt_similarity=0.7)
    result = build_preferences(preferences(), dataset, sample, settings)
    assert [prompt[0]["content"] for prompt in prompts_seen] == ["Summarise note A"]
    (dropped,) = [entry for entry in result.ledger.to_pylist() if entry["decision"] == "dropped"]
    assert (dropped["row_id"], dropped["reason"], dropped["evidence_id"]) == ("n", "near_duplicate_of_test", "t")
    assert dropped["score"] == 0.75  # 9 of 12 word pairs
    assert result.report["test_overlap"]["reasons"] == {"near_duplicate_of_test": 1}
