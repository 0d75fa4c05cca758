"""Preference rows in their many shapes to one: a prompt, a chosen and a rejected answer, each as messages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from steps.extraction.conversations import join_input
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.scored_answers import has_scored_answers, scored_pairs
from steps.extraction.trees import ranked_pairs
from steps.extraction.turns import Message, turns, with_preamble

#: Other names of the two answers, and of their scores.
ANSWER_KEYS = (("chosen", "rejected"), ("chosen_messages", "rejected_messages"))
SCORE_KEYS = (("chosen_score", "rejected_score"), ("score_chosen", "score_rejected"))


class Preference(NamedTuple):
    """One preference; `variant` tells the pairs of one row apart.

    An answer that was only called good or bad is half of one: the other side is empty, until the stage `preferences`
    finds another answer to the same prompt there.
    """

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    chosen_score: float | None = None
    rejected_score: float | None = None
    variant: str = ""


def to_preferences(row: Mapping[str, Any]) -> Iterator[Preference]:
    """Convert one row: a tree of ranked replies or a list of scored answers gives all its pairs, any other row one.

    Raises:
        UnusableError: with the reason and the key.
    """
    keys = next((keys for keys in ANSWER_KEYS if all(row.get(key) is not None for key in keys)), None)
    if row.get("message_tree_id") is not None and isinstance(row.get("prompt"), Mapping):
        yield from _of_tree(row)
    elif keys is not None:
        yield _of_pair(row, keys)
    elif has_scored_answers(row):
        yield from _of_scores(row)
    elif row.get("label") is not None:
        yield _of_label(row)
    else:
        found = ", ".join(sorted(map(str, row))[:12]) or "no keys"
        raise UnusableError(
            ExtractDrop.MISSING_KEYS,
            f"found {found}; expected chosen and rejected, a list of answers with scores, or an answer with a label; "
            "rename with `columns`",
        )


def _of_tree(row: Mapping[str, Any]) -> Iterator[Preference]:
    """Yield the pairs of a tree; its ranks become scores, of which the best is 0 and the others negative."""
    pairs = list(ranked_pairs(row))
    if not pairs:
        raise UnusableError(ExtractDrop.NO_RANKED_REPLIES, "no two replies of different rank")
    for number, pair in enumerate(pairs):
        variant = f"{number}: rank {pair.chosen_rank} over {pair.rejected_rank}"
        scores = (float(-pair.chosen_rank), float(-pair.rejected_rank))
        yield Preference(pair.prompt, [pair.chosen], [pair.rejected], *scores, variant)


def _of_scores(row: Mapping[str, Any]) -> Iterator[Preference]:
    prompt = _prompt(row)
    if prompt is None:
        raise UnusableError(ExtractDrop.NO_COMMON_PROMPT, "no prompt; expected prompt, messages or instruction")
    prompt = with_preamble(prompt, row.get("system"), row.get("tools"))
    pairs = list(scored_pairs(row))
    if not pairs:
        raise UnusableError(ExtractDrop.NO_RANKED_REPLIES, "no two answers of different score")
    for number, pair in enumerate(pairs):
        variant = f"{number}: score {pair.chosen_score:g} over {pair.rejected_score:g}"
        chosen, rejected = ([{"role": "assistant", "content": text}] for text in (pair.chosen, pair.rejected))
        yield Preference(prompt, chosen, rejected, pair.chosen_score, pair.rejected_score, variant)


def _of_label(row: Mapping[str, Any]) -> Preference:
    """Convert an answer with a label (KTO): a prompt and a completion, or a conversation that ends with the answer."""
    label = row["label"]
    if label not in (True, False):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"label is {label!r:.40}, neither true nor false")
    prompt = _prompt(row)
    if row.get("completion") is not None:
        answer = _answer(row["completion"], "completion")
    elif prompt is not None and len(prompt) > 1 and prompt[-1]["role"] == "assistant":
        prompt, answer = prompt[:-1], prompt[-1:]
    else:
        raise UnusableError(ExtractDrop.MISSING_KEYS, "a label needs completion, or messages that end with an answer")
    if prompt is None:
        raise UnusableError(ExtractDrop.NO_COMMON_PROMPT, "no prompt; expected prompt, messages or instruction")
    prompt = with_preamble(prompt, row.get("system"), row.get("tools"))
    return Preference(prompt, answer, []) if label else Preference(prompt, [], answer)


def _of_pair(row: Mapping[str, Any], keys: tuple[str, str]) -> Preference:
    chosen, rejected = (_answer(row[key], key) for key in keys)
    given = _prompt(row)
    prompt, chosen, rejected = _parted(given, chosen, rejected)
    prompt = with_preamble(prompt, row.get("system"), row.get("tools"))
    scores = next((keys for keys in SCORE_KEYS if row.get(keys[0]) is not None), SCORE_KEYS[0])
    return Preference(prompt, chosen, rejected, _score(row.get(scores[0])), _score(row.get(scores[1])))


def _answer(value: Any, key: str) -> list[Message]:
    return [{"role": "assistant", "content": value}] if isinstance(value, str) else turns(value, key)


def _prompt(row: Mapping[str, Any]) -> list[Message] | None:
    """Return the prompt as messages, None where the row has none of its own."""
    for key in ("prompt", "conversations", "messages"):
        if isinstance(row.get(key), str):
            return [{"role": "user", "content": row[key]}]
        if row.get(key) is not None:
            return turns(row[key], key)
    if row.get("instruction") is None:
        return None
    parts = (row["instruction"], row.get("input") or "")
    if not all(isinstance(part, str) for part in parts):
        raise UnusableError(ExtractDrop.WRONG_TYPE, "instruction and input are not both text")
    return [{"role": "user", "content": join_input(*parts)}]


def _parted(
    given: list[Message] | None, chosen: list[Message], rejected: list[Message]
) -> tuple[list[Message], list[Message], list[Message]]:
    """Take the turns with which both answers begin, which repeat the prompt or are all that there is of it.

    Raises:
        UnusableError: if there is no prompt, or an answer is left without a turn of its own.
    """
    n_common = 0
    # An answer keeps its last turn even where both end alike: that pair is no preference, which a later stage says.
    for ours, theirs in zip(chosen[:-1], rejected[:-1], strict=False):
        if ours != theirs:
            break
        n_common += 1
    common = chosen[:n_common]
    if given is None:
        if not common:
            raise UnusableError(ExtractDrop.NO_COMMON_PROMPT, "no prompt, and the answers begin differently")
        return common, chosen[n_common:], rejected[n_common:]
    if not common:
        return given, chosen, rejected
    # The answers repeat the conversation: whole, or (a prompt given as text) from its last user turn on.
    if common == given or given[-1] in common:
        return common, chosen[n_common:], rejected[n_common:]
    return [*given, *common], chosen[n_common:], rejected[n_common:]


def _score(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None
