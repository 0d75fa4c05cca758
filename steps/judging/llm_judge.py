"""An LLM as judge: one model, one rubric, a JSON reply, and never a score that the model did not give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import field_validator

from steps.errors import ConfigError
from steps.judging.judge_settings import BaseJudgeSettings
from steps.judging.judgement import Judgement
from steps.judging.rubric import LoadedRubric, RubricName, load_rubric, render_messages
from steps.judging.verdict import Unscored
from steps.llm.endpoint import EndpointSettings
from steps.llm.json_reply import parse_object
from steps.llm.models import Model
from steps.llm.request import ChatRequest, Failed, Reply
from steps.settings import Settings

#: `ChatClient.complete_all`, or anything that answers requests in order.
Complete = Callable[[Sequence[ChatRequest]], list[Reply]]

_UNSCORED = {
    Failed.INVALID_REPLY: Unscored.UNPARSEABLE_REPLY,
    Failed.EMPTY_REPLY: Unscored.UNPARSEABLE_REPLY,
    Failed.TRUNCATED_REPLY: Unscored.TRUNCATED_REPLY,
}


class LLMJudgeSettings(Settings):
    """Which model judges, and by which rubric."""

    endpoint: EndpointSettings
    """The judging model."""
    rubric: str = "helpfulness_v1"
    """Name of a bundled rubric, or the path of a YAML file of the same form."""

    @field_validator("rubric")
    @classmethod
    def _exists(cls, value: str) -> str:
        try:
            load_rubric(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return value


class LLMSettings(BaseJudgeSettings):
    """A chat model that grades answers one by one."""

    type: Literal["llm"]
    model: Model
    """The judging model: an endpoint, or one in this process."""
    rubric: RubricName = "helpfulness_v2"
    """Name of a bundled rubric, or the path of a YAML file of the same form."""
    probability_weighting: bool = False
    """Score = sum of level × probability over the level tokens (G-Eval), where the endpoint gives probabilities;
    where it does not, the level that was named stands, and the verdict says so."""

    @property
    def default_name(self) -> str:
        """`llm:<model>`."""
        return f"llm:{self.model.model}"

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """That of the rubric."""
        return load_rubric(self.rubric).rubric.scale

    @property
    def model_family(self) -> tuple[str, str | None]:
        """Model and family as configured."""
        return self.model.model, self.model.family


class Answered(NamedTuple):
    """One answer to grade."""

    row_id: str
    prompt: Sequence[Mapping[str, str]]
    answer: str


def judge_with_llm(
    answers: Sequence[Answered], settings: LLMJudgeSettings, seed: int, complete: Complete
) -> list[Judgement]:
    """Grade each answer by itself, on the raw scale of the rubric.

    Args:
        answers: What to grade; their order decides nothing.
        settings: Model and rubric.
        seed: Of the fences around the graded texts.
        complete: Sends the requests.

    Returns:
        One judgement per answer, in order.
    """
    rubric = load_rubric(settings.rubric)
    schema = rubric.rubric.reply_schema
    requests = [
        ChatRequest(render_messages(rubric.rubric, one.row_id, one.prompt, one.answer, seed), schema) for one in answers
    ]
    return [read_verdict(reply, rubric) for reply in complete(requests)]


def read_verdict(reply: Reply, rubric: LoadedRubric) -> Judgement:
    """Turn a reply into a judgement; only the fields of the reply's own JSON count, whatever the texts said."""
    failure = reply.failure
    if failure is not None and failure is not Failed.INVALID_REPLY:
        return _unscored(reply, rubric, _UNSCORED.get(failure, Unscored.ENDPOINT_FAILED), reply.error)
    try:
        verdict = parse_object(reply.text)
    except ValueError as error:
        return _unscored(reply, rubric, Unscored.UNPARSEABLE_REPLY, str(error))
    score, rationale = verdict.get("score"), verdict.get("rationale")
    if isinstance(score, bool) or not isinstance(score, int | float) or not isinstance(rationale, str):
        return _unscored(reply, rubric, Unscored.UNPARSEABLE_REPLY, "score or rationale is missing or of another type")
    if score not in rubric.rubric.levels:
        levels = ", ".join(map(str, sorted(rubric.rubric.levels)))
        return _unscored(reply, rubric, Unscored.OUT_OF_SCALE, f"score {score} is none of {levels}")
    return Judgement(float(score), None, rationale, f"llm:{reply.model}", rubric.sha256, reply.cost_usd)


def _unscored(reply: Reply, rubric: LoadedRubric, reason: Unscored, detail: str | None) -> Judgement:
    return Judgement(None, reason, None, f"llm:{reply.model}", rubric.sha256, reply.cost_usd, detail)
