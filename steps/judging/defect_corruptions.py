"""Ways to break an answer on purpose: the detector learns from them what broken looks like in this run's data."""

from __future__ import annotations

import random
import re
from enum import StrEnum

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_LETTER = re.compile(r"[^\W\d_]")
_REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "As an AI language model, I am unable to provide this information.",
    "I don't have access to the information that you ask for.",
    "I cannot assist with this request.",
)
_TINY = ("Yes.", "OK", "N/A", "...", "Sure, here it is:", "None", "I don't know.", "-")


class Corruption(StrEnum):
    """What was done to an answer."""

    MISMATCHED = "mismatched"
    TRUNCATED = "truncated"
    LOOPED = "looped"
    SHUFFLED = "shuffled"
    ECHOED = "echoed"
    REFUSED = "refused"
    TINY = "tiny"
    GIBBERISH = "gibberish"

    @property
    def keeps_subject(self) -> bool:
        """Whether only the form is damaged, so that the text is still about the same."""
        return self in {Corruption.TRUNCATED, Corruption.LOOPED, Corruption.SHUFFLED, Corruption.GIBBERISH}


def corrupt(kind: Corruption, prompt: str, answer: str, other_answer: str, rng: random.Random) -> str | None:
    """Break an answer; None where this kind of damage would not show (a one-word answer cannot be shuffled).

    Args:
        kind: The damage.
        prompt: What was asked.
        answer: The whole answer.
        other_answer: The answer to another prompt, for `mismatched`.
        rng: Source of randomness.
    """
    answer = answer.strip()
    match kind:
        case Corruption.MISMATCHED:
            broken = other_answer
        case Corruption.TRUNCATED:
            broken = _truncate(answer, rng)
        case Corruption.LOOPED:
            broken = _loop(answer, rng)
        case Corruption.SHUFFLED:
            broken = _shuffle(answer, rng)
        case Corruption.ECHOED:
            broken = prompt.strip()
        case Corruption.REFUSED:
            broken = rng.choice(_REFUSALS)
        case Corruption.TINY:
            broken = rng.choice(_TINY) if len(answer.split()) > 4 else ""
        case Corruption.GIBBERISH:
            broken = _garble(answer, rng)
    return broken if broken and broken.split() != answer.split() else None


def _truncate(answer: str, rng: random.Random) -> str:
    """Cut within a sentence or line: at its end the rest would still be an answer."""
    if len(answer) < 40:
        return ""
    at = int(len(answer) * rng.uniform(0.3, 0.85))
    cut = answer[:at].rstrip()
    at_end = "\n" in answer[len(cut) : at + 1] or cut.endswith((".", "!", "?", "。"))
    return "" if at_end else cut


def _loop(answer: str, rng: random.Random) -> str:
    sentences = [part for part in _SENTENCE.split(answer) if len(part) > 10]
    if not sentences:
        return ""
    at = rng.randrange(len(sentences))
    separator = rng.choice((" ", "\n"))
    return separator.join(sentences[:at] + [sentences[at]] * rng.randint(4, 10))


def _shuffle(answer: str, rng: random.Random) -> str:
    words = answer.split()
    if len(words) < 8:
        return ""
    rng.shuffle(words)
    return " ".join(words)


def _garble(answer: str, rng: random.Random) -> str:
    """Replace most letters, as a wrong encoding or a model that came apart does."""
    if len(answer) < 10:
        return ""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return _LETTER.sub(lambda match: rng.choice(alphabet) if rng.random() < 0.7 else match[0], answer)
