"""Preferences that people or others made: which of them cannot be trained on, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from steps.ledger import Drops
from steps.preference.candidate import Candidate, key_of
from steps.rows import content_id


class ImportedDrop(StrEnum):
    """Why an imported preference cannot be used."""

    EMPTY_PROMPT = "empty_prompt"
    EMPTY_ANSWER = "empty_answer"
    NOT_AN_ANSWER = "not_an_answer"
    CHOSEN_EQUALS_REJECTED = "chosen_equals_rejected"
    BELOW_MIN_MARGIN = "below_min_margin"
    UNPAIRED = "unpaired"
    USED_AS_REJECTED = "used_as_rejected"
    DUPLICATE_PAIR = "duplicate_pair"
    CONTRADICTED = "contradicted"


def imported_candidates(
    rows: Sequence[Mapping[str, Any]], min_margin: float | None, seed: int, drops: Drops
) -> Iterator[Candidate]:
    """Yield the imported pairs that are preferences, those that are put together of two labelled answers among them.

    Args:
        rows: Of schema `rows.PREFERENCES`; an answer that was only called good or bad lacks the other side.
        min_margin: Least difference of the two scores; None asks none. Pairs without scores have no margin and stay.
        seed: Decides which answer called good meets which one called bad.
        drops: Of the stage.
    """
    whole = [row for row in rows if row["chosen"] and row["rejected"]]
    halves = [row for row in rows if bool(row["chosen"]) != bool(row["rejected"])]
    for row in rows:
        if not row["chosen"] and not row["rejected"]:
            drops.add(row["id"], ImportedDrop.EMPTY_ANSWER)
    candidates = [Candidate(row["id"], "imported", row) for row in whole] + _paired(halves, seed, drops)
    for candidate in candidates:
        reason = _defect(candidate.pair)
        margin = candidate.margin
        if reason is not None:
            drops.add(candidate.ledger_id, reason)
        elif min_margin is not None and margin is not None and margin < min_margin:
            detail = f"imported_min_margin={min_margin:g}"
            drops.add(candidate.ledger_id, ImportedDrop.BELOW_MIN_MARGIN, score=margin, detail=detail)
        else:
            yield candidate


def _paired(halves: Sequence[Mapping[str, Any]], seed: int, drops: Drops) -> list[Candidate]:
    """Pair each answer called good with one called bad of the same prompt and ranker, each answer once.

    The pair keeps the id of its good half; the bad half's ledger row names it.
    """
    by_prompt: dict[tuple[str, str], tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for half in sorted(halves, key=lambda half: content_id("half", half["id"], seed)):
        by_prompt[key_of(half["prompt"]), half["ranker"]][0 if half["chosen"] else 1].append(half)
    found = []
    for good, bad in by_prompt.values():
        n_pairs = min(len(good), len(bad))
        for liked, disliked in zip(good[:n_pairs], bad[:n_pairs], strict=True):
            pair = {**liked, "rejected": disliked["rejected"]}
            drops.add(disliked["id"], ImportedDrop.USED_AS_REJECTED, evidence_id=liked["id"])
            found.append(Candidate(liked["id"], "labelled", pair, f"rejected is row {disliked['id']}"))
        for half in (*good[n_pairs:], *bad[n_pairs:]):
            called = "good" if half["chosen"] else "bad"
            detail = f"called {called}; {len(good)} good and {len(bad)} bad answers to its prompt"
            drops.add(half["id"], ImportedDrop.UNPAIRED, detail=detail)
    return found


def _defect(pair: Mapping[str, Any]) -> ImportedDrop | None:
    """Return what makes a pair unusable on its own."""
    if not any(message["content"].strip() for message in pair["prompt"]):
        return ImportedDrop.EMPTY_PROMPT
    for answer in (pair["chosen"], pair["rejected"]):
        if not answer[-1]["content"].strip():
            return ImportedDrop.EMPTY_ANSWER
        if answer[-1]["role"] != "assistant":
            return ImportedDrop.NOT_AN_ANSWER
    same = key_of(pair["chosen"]) == key_of(pair["rejected"])
    return ImportedDrop.CHOSEN_EQUALS_REJECTED if same else None


def drop_repetitions(candidates: Sequence[Candidate], drops: Drops) -> None:
    """Of equal pairs keep the one with the smallest id; of pairs that prefer the opposite keep none."""
    first: dict[tuple[str, str, str], str] = {}
    keys = {candidate.ledger_id: _key_of_pair(candidate.pair) for candidate in candidates}
    for ledger_id in sorted(keys):
        first.setdefault(keys[ledger_id], ledger_id)
    for ledger_id, (prompt, chosen, rejected) in keys.items():
        opposite, same = first.get((prompt, rejected, chosen)), first[prompt, chosen, rejected]
        if opposite is not None:
            drops.add(ledger_id, ImportedDrop.CONTRADICTED, evidence_id=opposite)
        elif same != ledger_id:
            drops.add(ledger_id, ImportedDrop.DUPLICATE_PAIR, evidence_id=same, score=1.0)


def _key_of_pair(pair: Mapping[str, Any]) -> tuple[str, str, str]:
    return key_of(pair["prompt"]), key_of(pair["chosen"]), key_of(pair["rejected"])
