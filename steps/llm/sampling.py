"""Drawing each token of a batch by itself: the sample of one row does not depend on the rows beside it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple


class Draw(NamedTuple):
    """How the tokens of one row are chosen."""

    temperature: float
    """0 takes the likeliest."""
    top_p: float
    seed: str
    top_logprobs: int
    """Alternatives to note for each token; 0 notes nothing."""


class Chooser:
    """A `transformers` logits processor that leaves one token per row, its own draw, and notes the probabilities.

    `generate` has one random generator for a whole batch. Here every row has its own stream of numbers in [0, 1), and
    the token is the one at that share of the cumulative distribution.
    """

    def __init__(self, draws: Sequence[Draw]) -> None:
        self._draws = draws
        self._streams = [random.Random(draw.seed) for draw in draws]
        #: Per row and step: the token's log-probability, and the likeliest tokens with theirs.
        self._notes: list[list[tuple[float, list[tuple[int, float]]]]] = [[] for _ in draws]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return scores that allow one token per row; shapes (rows, positions) and (rows, vocabulary)."""
        import torch

        chosen = scores.argmax(-1)
        for row, draw in enumerate(self._draws):
            if draw.temperature > 0:
                chosen[row] = _drawn(scores[row].float() / draw.temperature, draw.top_p, self._streams[row].random())
            if draw.top_logprobs:
                self._note(row, scores[row].float().log_softmax(-1), int(chosen[row]), draw.top_logprobs)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)

    def logprobs(self, row: int, tokens: Sequence[int], tokenizer: Any) -> list[dict[str, Any]]:
        """Return what was noted of a row's first tokens, in the form of `Reply.logprobs`."""
        return [
            {
                "token": tokenizer.decode([token]),
                "logprob": logprob,
                "top": [{"token": tokenizer.decode([other]), "logprob": value} for other, value in top],
            }
            for token, (logprob, top) in zip(tokens, self._notes[row], strict=False)
        ]

    def _note(self, row: int, logs: Any, token: int, n: int) -> None:
        values, others = logs.topk(min(n, len(logs)))
        top = list(zip(others.tolist(), values.tolist(), strict=True))
        self._notes[row].append((float(logs[token]), top))


def _drawn(logits: Any, top_p: float, share: float) -> Any:
    """Return the token at `share` of the cumulative distribution over the smallest set that holds `top_p` of it."""
    import torch

    probabilities = logits.softmax(-1)
    if top_p == 1:
        # Any order of the tokens will do, and sorting a large vocabulary costs more than all the rest.
        cumulative = probabilities.cumsum(-1)
        return torch.searchsorted(cumulative, share * cumulative[-1]).clamp(max=len(cumulative) - 1)
    likeliest_first, order = probabilities.sort(descending=True)
    cumulative = likeliest_first.cumsum(-1)
    n_kept = int((cumulative - likeliest_first < top_p).sum())
    return order[torch.searchsorted(cumulative[:n_kept], share * cumulative[n_kept - 1]).clamp(max=n_kept - 1)]
