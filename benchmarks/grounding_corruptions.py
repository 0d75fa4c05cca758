"""True answers made wrong, in one way at a time."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from steps.synthesis.chunks import Chunk
from steps.synthesis.claims import claims_of
from steps.synthesis.sentences import sentences

_NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w.]|-\d)")
_VERB = re.compile(r"\b(is|are|was|can|will|should|does|do)\b(?! not\b)")
#: Words of a sentence that is put into another answer: a shorter one may say nothing of its own.
_MIN_INSERTED_WORDS = 8


class Answer(NamedTuple):
    """An answer, what supports it, and where it comes from."""

    chunk: Chunk
    answer: str
    repo: str
    path: str


Corruption = Callable[[Answer, random.Random], str | None]


class Corruptor:
    """Makes answers wrong; each way gives None where an answer does not lend itself to it."""

    def __init__(self, true: Sequence[Answer]) -> None:
        self._true = true
        self._by_repo: dict[str, list[Answer]] = defaultdict(list)
        for one in true:
            self._by_repo[one.repo].append(one)
        found = {name for one in true for name in _names(one.answer)}
        self._names = sorted(name for name in found if name[0].isupper())

    def ways(self) -> dict[str, Corruption]:
        """Return the ways by what they are called."""
        return {
            "answer of another repository": self.other,
            "answer of another document of the repository": self.neighbour,
            "a sentence of such a document added": self.inserted,
            "a number changed": self.number,
            "a name exchanged": self.name,
            "a verb negated": self.negated,
        }

    def other(self, one: Answer, rng: random.Random) -> str | None:
        """Return the answer that something else has."""
        found = rng.choice(self._true)
        return found.answer if found.repo != one.repo else None

    def neighbour(self, one: Answer, rng: random.Random) -> str | None:
        """Return an answer of the same repository that another document supports."""
        near = [each for each in self._by_repo[one.repo] if each.path != one.path]
        return rng.choice(near).answer if near else None

    def inserted(self, one: Answer, rng: random.Random) -> str | None:
        """Add one sentence of such an answer."""
        near = [each for each in self._by_repo[one.repo] if each.path != one.path]
        told = sentences(rng.choice(near).answer.split("\n\n")[0]) if near else []
        told = [each for each in told if len(each.split()) >= _MIN_INSERTED_WORDS and "`" not in each]
        return f"{one.answer}\n\n{rng.choice(told)}" if told else None

    def number(self, one: Answer, rng: random.Random) -> str | None:
        """Change a number, other than those of a list's items, to one that the text lacks."""
        places = [found for found in _NUMBER.finditer(one.answer) if not one.answer[: found.start()].endswith("\n")]
        places = [found for found in places if not re.match(r"[.)]\s", one.answer[found.end() :])]
        if not places:
            return None
        place = rng.choice(places)
        value = str(int(float(place[0])) + rng.choice((1, 2, 5, 10, 100)))
        return None if value in one.chunk.text else one.answer[: place.start()] + value + one.answer[place.end() :]

    def name(self, one: Answer, rng: random.Random) -> str | None:
        """Put a name that the text lacks in the place of one that the answer has."""
        own = _names(one.answer)
        if not own or not self._names:
            return None
        new = rng.choice(self._names)
        if new.casefold() in one.chunk.text.casefold():
            return None
        return re.sub(rf"(?<![\w./(]){re.escape(rng.choice(own))}(?![\w./)])", new, one.answer, count=1)

    def negated(self, one: Answer, rng: random.Random) -> str | None:
        """Put a "not" behind a verb."""
        places = list(_VERB.finditer(one.answer.split("```")[0]))
        if not places:
            return None
        place = rng.choice(places)
        return f"{one.answer[: place.end()]} not{one.answer[place.end() :]}"


def _names(answer: str) -> list[str]:
    return [name for claim in claims_of(answer) for name in sorted(claim.names) if name.isalnum()]
