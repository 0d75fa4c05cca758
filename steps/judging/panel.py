"""The judges of a stage: made, held against their calibration, and asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from steps.errors import ConfigError, LedgerError
from steps.judging.calibration import load_calibration
from steps.judging.guard import Trust, trust
from steps.judging.integrity import score_unchanged
from steps.judging.judges import AnyJudge, make_judge
from steps.judging.judging_settings import JudgingSettings
from steps.judging.llm_judge import Complete, LLMJudge, LLMSettings
from steps.judging.rubric import load_rubric
from steps.judging.verdict import Item, Judge, Verdict
from steps.llm.budget import Budget
from steps.llm.recorder import Recorder
from steps.llm.request import ChatRequest, Reply


class Panel(NamedTuple):
    """The judges in the order of the config, and what is known of them."""

    judges: list[Judge]
    trust: Trust


def make_panel(settings: JudgingSettings, complete: Complete | None = None) -> Panel:
    """Make the judges of a stage, and check that they may do what they are to do.

    Nothing is asked yet, so that the check before a run calls this too.

    Args:
        settings: Of the stage, with at least one judge.
        complete: Answers chat requests in place of a client.

    Raises:
        ConfigError: if judges that are to select rows are not known to agree with people.
        InputError: if the calibration, or what a judge needs, cannot be read.
    """
    budget = Budget(settings.budget)
    judges = [make_judge(one, settings.seed, budget, complete) for one in settings.judges]
    path = settings.calibration_path
    calibration = load_calibration(path) if path is not None else None
    kinds = [one.type for one in settings.judges]
    known = trust(judges, kinds, settings.aggregate, calibration, settings.min_agreement)
    if settings.select is None or known.problem is None:
        return Panel(judges, known)
    if not settings.accept_uncalibrated:
        raise ConfigError(f"curation.judge.select: {known.problem}")
    return Panel(judges, known._replace(warnings=[f"accepted all the same: {known.problem}", *known.warnings]))


def needs_source(settings: AnyJudge) -> bool:
    """Return whether a judge cannot grade without the text that an answer was made from."""
    rubric = getattr(settings, "rubric", None)
    return rubric is not None and load_rubric(rubric).rubric.needs_reference


def ask(
    judges: Sequence[Judge],
    settings: JudgingSettings,
    items: Sequence[Item],
    sources: Sequence[str | None],
    complete: Complete | None = None,
) -> list[list[Verdict]]:
    """Let every judge score every item. Chat models are asked side by side: the slowest decides how long it takes.

    Args:
        judges: Of `make_panel`.
        settings: Of the stage.
        items: What to grade.
        sources: The text that each item was made from, for judges that compare with it.
        complete: Answers chat requests in place of the clients.

    Returns:
        The verdicts of each judge, one per item, in order.
    """
    with_source = [item._replace(reference=text) for item, text in zip(items, sources, strict=True)]
    given = [with_source if needs_source(one) else items for one in settings.judges]
    if complete is None:
        judges = _answered(judges, settings, given)
    return [score_unchanged(judge, seen) for judge, seen in zip(judges, given, strict=True)]


def _answered(judges: Sequence[Judge], settings: JudgingSettings, given: Sequence[Sequence[Item]]) -> list[Judge]:
    """Ask the models of all chat judges at once; return the judges, of which these now know their replies."""
    from steps.llm.client import complete_side_by_side
    from steps.llm.models import open_client

    chat = {at: one for at, one in enumerate(settings.judges) if isinstance(one, LLMSettings)}
    if not chat:
        return list(judges)
    wanted = {}
    for at, one in chat.items():
        recorder = Recorder()
        LLMJudge(one, settings.seed, recorder).score(given[at])
        wanted[at] = recorder.requests
    # Judges that ask the same model, by different rubrics, share its client: its limits hold for them together.
    members: dict[str, list[int]] = {}
    for at, one in chat.items():
        members.setdefault(one.model.model_dump_json(), []).append(at)
    budget = Budget(settings.budget)
    replies = complete_side_by_side(
        [
            (open_client(chat[group[0]].model, budget), [request for at in group for request in wanted[at]])
            for group in members.values()
        ],
        "Judging",
    )
    found = list(judges)
    for group, answers in zip(members.values(), replies, strict=True):
        rest = iter(answers)
        for at in group:
            own = [next(rest) for _ in wanted[at]]
            found[at] = LLMJudge(chat[at], settings.seed, partial(_known, own))
    return found


def _known(replies: list[Reply], requests: Sequence[ChatRequest]) -> list[Reply]:
    """Answer requests whose replies are known already."""
    if len(requests) != len(replies):
        raise LedgerError(f"a judge asked for {len(requests)} replies where {len(replies)} requests had been made")
    return replies
