"""A pair that may be trained on, on its way through the stage's checks."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

Messages = Sequence[Mapping[str, str]]
Origin = Literal["imported", "labelled", "sampled", "revised"]


class Candidate(NamedTuple):
    """One pair and where it came from."""

    ledger_id: str
    """Id of its ledger row: the imported row, the sampled prompt, or the pair itself where a prompt has several."""
    origin: Origin
    """`labelled`: put together of two imported answers to one prompt, one called good and one bad."""
    pair: Mapping[str, Any]
    """Row of schema `rows.PREFERENCES`."""
    note: str | None = None
    """What the ledger says of it if it is used, e.g. who wrote which answer."""

    @property
    def margin(self) -> float | None:
        """Score of the chosen answer minus that of the rejected one; None without scores."""
        chosen, rejected = self.pair.get("chosen_score"), self.pair.get("rejected_score")
        return None if chosen is None or rejected is None else chosen - rejected

    @property
    def is_checked(self) -> bool:
        """Whether a verifiable check told the answers apart."""
        return str(self.pair["ranker"]).startswith("check:")


def text_of(messages: Messages) -> str:
    """Return the contents of the user's and assistant's turns, one below the other."""
    return "\n".join(message["content"] for message in messages if message["role"] != "system")


def key_of(messages: Messages) -> str:
    """Return the text without what makes no difference: letter case, spacing, compatibility forms of characters.

    >>> key_of([{"role": "user", "content": "Why  NOT?"}]) == key_of([{"role": "user", "content": "why not? "}])
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text_of(messages)).casefold().split())
