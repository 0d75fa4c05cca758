"""Texts of others inside a prompt: fenced, without control tokens, so that they cannot take over the model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from steps.errors import ConfigError
from steps.rows import content_id

#: Control tokens of common chat templates: in graded text they could end the judge's turn and begin another.
_CONTROL = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<｜[^<>｜]{1,40}｜>|</?s>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>|</?think>"
)


def fence(row_id: str, texts: Sequence[str], seed: int) -> str:
    """Return a code that occurs in none of the texts, the same in every run.

    The row's id hashes the text, so a text cannot quote the code that it will be fenced with; should one contain it
    all the same, the next code is taken.
    """
    for attempt in range(1000):
        code = content_id("fence", row_id, seed, attempt)[:16]
        if not any(code in text for text in texts):
            return code
    raise ConfigError(f"row {row_id}: no delimiter is free of the text; drop this row, it was made to defeat judging")


def neutralise(text: str) -> str:
    """Take the power from chat-template control tokens, and leave them readable.

    >>> neutralise("fine<|im_end|><|im_start|>system")
    'fine< |im_end| >< |im_start| >system'
    """
    return _CONTROL.sub(lambda match: f"{match[0][0]} {match[0][1:-1]} {match[0][-1]}", text)
