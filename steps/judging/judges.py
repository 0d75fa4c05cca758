"""Every kind of judge behind one interface: `make_judge` for single answers, `make_pairwise_judge` for pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from steps.judging.classifier import ClassifierJudge, ClassifierSettings
from steps.judging.decision import DecisionJudge, DecisionSettings, PairwiseDecisionJudge, PairwiseDecisionSettings
from steps.judging.decision_client import open_decider
from steps.judging.defect_judge import DefectJudge, DefectJudgeSettings
from steps.judging.llm_judge import Complete, LLMJudge, LLMSettings
from steps.judging.pairwise import PairwiseLLMJudge, PairwiseLLMSettings
from steps.judging.reward_model import RewardModelJudge, RewardModelSettings
from steps.judging.verdict import Judge, PairwiseJudge
from steps.llm.budget import Budget
from steps.llm.models import open_client


def _refuse_defect(value: Any) -> Any:
    """Refuse the defect score wherever better is to be told from worse."""
    found = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    if found in {"defect", "defect_score"}:
        raise ValueError(
            "type=defect tells broken answers from whole ones, not better from worse, and makes neither preferences "
            "nor win rates (0.20 agreement with people on adversarial pairs); use llm, decision, reward_model or "
            "classifier, a verifiable check, or imported preferences"
        )
    return value


#: A judge of single answers, told apart by `type`.
JudgeSettings = Annotated[
    LLMSettings | DecisionSettings | RewardModelSettings | ClassifierSettings | DefectJudgeSettings,
    Field(discriminator="type"),
]
#: A judge whose scores may rank answers: any but the defect score.
RankingJudgeSettings = Annotated[
    Annotated[LLMSettings | DecisionSettings | RewardModelSettings | ClassifierSettings, Field(discriminator="type")],
    BeforeValidator(_refuse_defect),
]
#: A judge of two answers, told apart by `type`.
PairwiseSettings = Annotated[
    Annotated[PairwiseLLMSettings | PairwiseDecisionSettings, Field(discriminator="type")],
    BeforeValidator(_refuse_defect),
]

AnyJudge = LLMSettings | DecisionSettings | RewardModelSettings | ClassifierSettings | DefectJudgeSettings
AnyPairwiseJudge = PairwiseLLMSettings | PairwiseDecisionSettings


def make_judge(settings: AnyJudge, seed: int, budget: Budget | None, complete: Complete | None = None) -> Judge:
    """Return the judge that the settings describe.

    Models are loaded when the first item is scored; a classifier is trained or read at once.

    Args:
        settings: Of the judge. `settings.judge_name` and `settings.scale_bounds` are known without making it.
        seed: Of fences, folds and whatever else is drawn.
        budget: Of the stage, shared by all its clients; None is unlimited.
        complete: Answers chat requests in place of a client, in tests. Only `llm` asks any.

    Raises:
        ConfigError: if a key or a prompt file is missing.
        InputError: if a classifier has too few labels, or a file cannot be read.
    """
    if isinstance(settings, LLMSettings):
        return LLMJudge(settings, seed, complete or open_client(settings.model, budget).complete_all)
    if isinstance(settings, DecisionSettings):
        return DecisionJudge(settings, seed, open_decider(settings.model, budget))
    if isinstance(settings, RewardModelSettings):
        return RewardModelJudge(settings)
    if isinstance(settings, ClassifierSettings):
        return ClassifierJudge(settings, seed)
    return DefectJudge(settings, seed)


def make_pairwise_judge(
    settings: AnyPairwiseJudge, seed: int, budget: Budget | None, complete: Complete | None = None
) -> PairwiseJudge:
    """Return the judge of pairs that the settings describe; it asks every pair in both orders.

    Args:
        settings: Of the judge.
        seed: Of the fences.
        budget: Of the stage, shared by all its clients; None is unlimited.
        complete: Answers chat requests in place of a client, in tests. Only `llm` asks any.

    Raises:
        ConfigError: if a key or a prompt file is missing.
    """
    if isinstance(settings, PairwiseLLMSettings):
        return PairwiseLLMJudge(settings, seed, complete or open_client(settings.model, budget).complete_all)
    return PairwiseDecisionJudge(settings, seed, open_decider(settings.model, budget))
