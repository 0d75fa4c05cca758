"""Evolved pairs: which are made, and whether what came back is harder than its parent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from steps.filtering.words import words
from steps.rows import content_id
from steps.synthesis.generation_settings import EvolutionSettings
from steps.synthesis.plan import Unit, question_of
from steps.synthesis.replies import GenerateDrop, Messages

#: Word sets of two requests that share more than this say the same in other words or order.
SAME_REQUEST = 0.8
#: What sets a condition, asks for several things, or asks for reasons.
_CONSTRAINT = re.compile(
    r"\b(?:must|should|only|at (?:least|most)|no more than|exactly|without|except|unless|given that|assuming|suppose|"
    r"provided that|while|whereas|instead of|such as|including|limit(?:ed)? to|in (?:a|one|two|three|\d+) "
    r"(?:sentences?|words|steps?|lines?|points?)|step by step|as a (?:list|table)|in the form of|if|when)\b",
    re.IGNORECASE,
)
_REASONING = re.compile(
    r"\b(?:why|how|compare|contrast|explain|justify|derive|reasons?|because|therefore|trade-?offs?|consequences?|"
    r"implications?|limits?|difference|analy[sz]e|evaluate|diagnose|step by step)\b",
    re.IGNORECASE,
)
#: Words of a request that weigh as much as one more condition.
_WORDS_PER_CONDITION = 8


def complexity_of(instruction: str) -> float:
    """Return how much a request asks for: its conditions and reasons, and an eighth of a point for each word.

    A proxy, not a measure of difficulty: it tells a request with further conditions from the one it was made of.

    >>> complexity_of("What is a cache?") < complexity_of("Explain why a cache must be small, in two sentences.")
    True
    """
    markers = len(_CONSTRAINT.findall(instruction)) + len(_REASONING.findall(instruction))
    return markers + len(words(instruction)) / _WORDS_PER_CONDITION


def evolution_units(
    parents: Sequence[tuple[Unit, Mapping[str, Any]]], settings: EvolutionSettings, seed: int, round_: int
) -> list[Unit]:
    """Plan the requests that make grounded pairs harder; each parent decides for itself, whatever stands beside it.

    Args:
        parents: Rows of schema `EXAMPLES` that are kept, with the unit each came from. Conversations of several turns
            are left as they are.
        settings: Share and operations.
        seed: Of the draws.
        round_: Which round it is, from 0; from the second on all that was evolved goes on.
    """
    units = []
    for unit, row in parents:
        random = Random(f"{seed} evolve {round_} {row['id']}")
        if len(row["messages"]) != 2 or (round_ == 0 and random.random() >= settings.share):
            continue
        operation = random.choice(settings.operations)
        units.append(
            unit._replace(
                id=content_id("evolve", row["id"], operation),
                kind=f"{row['kind']}+{operation}",
                prompt_kind="evolve",
                n_pairs=1,
                examples=(),
                operation=operation,
                parent=row,
            )
        )
    return units


def not_evolved(unit: Unit, messages: Messages) -> tuple[GenerateDrop, str] | None:
    """Say why an evolved pair is no gain over its parent; None if it is one.

    It must differ from the parent, and ask for more; one that is about something else only has to differ.
    """
    if unit.parent is None:
        return None
    before = question_of(unit.parent["messages"], unit.chunk)
    after = question_of(messages, unit.chunk)
    old_words, new_words = set(words(before.casefold())), set(words(after.casefold()))
    share = len(old_words & new_words) / max(1, len(old_words | new_words))
    if share == 1 or (unit.operation == "broaden" and share > SAME_REQUEST):
        return GenerateDrop.EQUALS_PARENT, f"shares {share:.2f} of its words with the request of {unit.parent['id']}"
    old, new = complexity_of(before), complexity_of(after)
    if unit.operation != "broaden" and new <= old:
        return GenerateDrop.NOT_HARDER, f"complexity {new:.2f}, that of {unit.parent['id']} is {old:.2f}"
    return None
