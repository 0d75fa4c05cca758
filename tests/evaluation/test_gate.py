import numpy as np
import pytest

from steps.evaluation.gate import GateSettings, decide
from tests.evaluation.conftest import evaluation

TASK = GateSettings(metric="exact_match", n_resamples=1000)
LOSS = GateSettings(n_resamples=1000)


def half(n: int = 40) -> list[float]:
    return [0.0, 1.0] * (n // 2)


def test_a_clear_improvement_is_promoted_with_its_evidence():
    verdict = decide(
        {"base": evaluation("base", scores=half()), "sft": evaluation("sft", scores=[1.0] * 40)}, TASK, 0.05
    )
    assert verdict.decision == "promote"
    assert (verdict.candidate, verdict.opponent, verdict.model_sha256) == ("sft", "base", "sha-sft")
    assert verdict.difference.mean == pytest.approx(0.5)
    assert verdict.difference.low > 0
    assert "exact_match 0.5 -> 1" in verdict.reason


def test_a_lower_loss_is_an_improvement():
    evaluations = {"base": evaluation("base", losses=[2.0, 2.2] * 20), "sft": evaluation("sft", losses=[1.0, 1.3] * 20)}
    verdict = decide(evaluations, LOSS, 0.05)
    assert verdict.decision == "promote"
    assert verdict.difference.mean == pytest.approx(0.95)
    swapped = decide({"base": evaluations["sft"], "sft": evaluations["base"]}, LOSS, 0.05)
    assert swapped.decision == "hold"
    assert swapped.difference.mean == pytest.approx(-0.95)


@pytest.mark.parametrize("metric", ["exact_match", "loss"])
def test_equal_models_are_seldom_promoted(metric):
    rng = np.random.default_rng(0)
    n_trials, promoted = 200, 0
    for trial in range(n_trials):
        settings = GateSettings(metric=metric, n_resamples=400, seed=trial)
        if metric == "loss":
            hard = rng.gamma(2.0, 1.0, size=60)
            a, b = (list(hard + rng.normal(0, 0.2, 60)) for _ in range(2))
            tokens = list(rng.integers(5, 80, 60))
            sides = evaluation("a", losses=a, tokens=tokens), evaluation("b", losses=b, tokens=tokens)
        else:
            a, b = ((rng.random(60) < 0.7).astype(float).tolist() for _ in range(2))
            sides = evaluation("a", scores=a), evaluation("b", scores=b)
        promoted += decide({"base": sides[0], "sft": sides[1]}, settings, 0.05).decision == "promote"
    assert promoted / n_trials <= 0.025 + 2 * (0.025 * 0.975 / n_trials) ** 0.5


def test_a_few_lucky_rows_do_not_promote():
    base, lucky = [0.0] * 100, [1.0] * 4 + [0.0] * 96
    verdict = decide({"base": evaluation("base", scores=base), "sft": evaluation("sft", scores=lucky)}, TASK, 0.05)
    assert verdict.decision == "hold"
    assert verdict.difference.low > 0
    assert "too few rows differ" in verdict.reason


def test_an_improvement_within_min_effect_is_held():
    evaluations = {"base": evaluation("base", scores=half()), "sft": evaluation("sft", scores=[1.0] * 40)}
    settings = GateSettings(metric="exact_match", min_effect=0.45, n_resamples=1000)
    verdict = decide(evaluations, settings, 0.05)
    assert verdict.decision == "hold"
    assert "does not lie above 0.45" in verdict.reason


def test_the_champion_is_the_opponent_even_where_the_base_is_better():
    evaluations = {
        "base": evaluation("base", scores=[1.0] * 40),
        "sft": evaluation("sft", scores=half()),
        "champion": evaluation("champion", scores=[0.0] * 40),
    }
    verdict = decide(evaluations, TASK, 0.05)
    assert (verdict.decision, verdict.opponent) == ("promote", "champion")


def test_without_a_champion_the_better_baseline_is_the_opponent():
    evaluations = {
        "base": evaluation("base", scores=[0.0] * 40),
        "base_few_shot": evaluation("base", scores=[1.0] * 40, mode="few_shot"),
        "sft": evaluation("sft", scores=half()),
    }
    verdict = decide(evaluations, TASK, 0.05)
    assert (verdict.decision, verdict.opponent) == ("hold", "base_few_shot")


def test_the_aligned_model_is_the_candidate_unless_the_config_names_another():
    evaluations = {name: evaluation(name, scores=half()) for name in ("base", "sft", "dpo")}
    assert decide(evaluations, TASK, 0.05).candidate == "dpo"
    assert decide(evaluations, TASK.model_copy(update={"candidate": "sft"}), 0.05).candidate == "sft"


def test_the_champion_itself_is_not_promoted_over_itself():
    evaluations = {
        "base": evaluation("base", scores=[0.0] * 40),
        "sft": evaluation("same", scores=half()),
        "champion": evaluation("same", scores=half()),
    }
    verdict = decide(evaluations, TASK, 0.05)
    assert (verdict.decision, verdict.reason) == ("hold", "The candidate is identical to its opponent.")


@pytest.mark.parametrize("broken", ["base", "sft", "champion"])
def test_too_many_rows_without_a_result_make_the_evidence_invalid(broken):
    evaluations = {
        name: evaluation(name, scores=[1.0 if name == "sft" else 0.0] * 40, errors=10 * (name == broken))
        for name in ("base", "sft", *(["champion"] if broken == "champion" else []))
    }
    verdict = decide(evaluations, TASK, 0.05)
    assert verdict.decision == "invalid"
    assert f"{broken}: 20% of 50 rows have no result" in verdict.reason
    assert "too long" in verdict.reason


def test_few_shot_prompts_that_do_not_fit_leave_the_other_baseline_standing():
    evaluations = {
        "base": evaluation("base", scores=[0.0] * 40),
        "base_few_shot": evaluation("base", scores=[1.0], mode="few_shot", errors=39),
        "sft": evaluation("sft", scores=[1.0] * 40),
    }
    verdict = decide(evaluations, TASK, 0.05)
    assert (verdict.decision, verdict.opponent) == ("promote", "base")


def test_a_handful_of_rows_decides_nothing():
    evaluations = {"base": evaluation("base", scores=[0.0] * 10), "sft": evaluation("sft", scores=[1.0] * 10)}
    verdict = decide(evaluations, TASK, 0.05)
    assert (verdict.decision, verdict.reason) == ("invalid", "Only 10 rows have exact_match for both; min_rows=20.")


def test_losses_over_different_tokens_do_not_compare():
    evaluations = {
        "base": evaluation("base", losses=[2.0] * 40, tokens=[10] * 40),
        "sft": evaluation("sft", losses=[1.0] * 40, tokens=[20] * 40),
    }
    verdict = decide(evaluations, LOSS, 0.05)
    assert verdict.decision == "invalid"
    assert "different tokens" in verdict.reason


def test_a_metric_that_was_not_measured_makes_the_evidence_invalid():
    evaluations = {"base": evaluation("base", losses=[2.0] * 40), "sft": evaluation("sft", losses=[1.0] * 40)}
    assert "add it to evaluation.metrics" in decide(evaluations, TASK, 0.05).reason
    assert decide({"base": evaluations["base"]}, LOSS, 0.05).decision == "invalid"


def test_rows_are_paired_by_id_not_by_position():
    scores = [1.0] * 20 + [0.0] * 20
    base = evaluation("base", scores=scores)
    shuffled = evaluation("sft", scores=scores).take(list(reversed(range(40))))
    verdict = decide({"base": base, "sft": shuffled}, TASK, 0.05)
    assert (verdict.difference.low, verdict.difference.high) == (0.0, 0.0)


def test_an_unknown_metric_is_a_config_error():
    with pytest.raises(ValueError, match="known: loss, exact_match"):
        GateSettings(metric="accuracy")
