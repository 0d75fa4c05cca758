"""What a run would ask of models, and what that would cost, before anything is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from steps.llm.endpoint import EndpointSettings
from steps.llm.in_process import InProcessSettings
from steps.llm.request import ChatRequest, request_keys

CountTokens = Callable[[list[str]], list[int]]

#: Tokens that a chat template adds to a turn, and to the beginning of the reply: ChatML takes 4 to 5, Llama 3 takes 4.
TEMPLATE_TOKENS_PER_TURN = 5
#: Without a tokenizer at hand: English text has about four characters a token in vocabularies of 32,000 to 200,000.
CHARACTERS_PER_TOKEN = 4


class Estimate(NamedTuple):
    """What one stage would ask of one model."""

    stage: str
    model: str
    n_requests: int
    n_cached: int
    """Requests whose replies were paid for before."""
    prompt_tokens: int
    """Of all requests that would be sent."""
    reply_tokens: int
    """Expected: the mean of the model's cached replies where it has some, else the most."""
    most_reply_tokens: int
    """If every reply were as long as `max_tokens` allows."""
    cost_usd: float | None
    """Expected; None if a price is unknown."""
    most_cost_usd: float | None
    basis: str
    """What was counted, and how."""


def estimate(
    stage: str,
    requests: Sequence[ChatRequest],
    settings: EndpointSettings | InProcessSettings,
    count_tokens: CountTokens | None,
    *,
    share: float = 1.0,
    basis: str = "",
) -> Estimate:
    """Estimate what requests cost that are not in the reply cache.

    Args:
        stage: Name of the stage.
        requests: A sample of them, or all.
        settings: The model that is asked.
        count_tokens: Tokens of each text, without those of a template; None estimates them by length.
        share: Fraction of all requests that `requests` is.
        basis: What `requests` are made of, for the reader.
    """
    cached, unsent = _look_up(settings, requests)
    texts = [message["content"] for request in unsent for message in request.messages]
    if count_tokens is None:
        counted = sum(len(text) for text in texts) // CHARACTERS_PER_TOKEN
        basis += f"; tokens estimated at {CHARACTERS_PER_TOKEN} characters each"
    else:
        counted = sum(count_tokens(texts)) if texts else 0
    counted += TEMPLATE_TOKENS_PER_TURN * (len(texts) + len(unsent))
    most = sum(request.max_tokens or settings.max_tokens for request in unsent)
    lengths = [reply["completion_tokens"] for reply in cached.values()]
    expected = round(len(unsent) * sum(lengths) / len(lengths)) if lengths else most
    prompt_tokens, reply_tokens, most_reply_tokens = (round(n / share) for n in (counted, min(expected, most), most))
    return Estimate(
        stage,
        settings.model,
        round(len(requests) / share),
        round((len(requests) - len(unsent)) / share),
        prompt_tokens,
        reply_tokens,
        most_reply_tokens,
        cost_of(settings, prompt_tokens, reply_tokens),
        cost_of(settings, prompt_tokens, most_reply_tokens),
        basis,
    )


def _look_up(
    settings: EndpointSettings | InProcessSettings, requests: Sequence[ChatRequest]
) -> tuple[dict[str, dict[str, Any]], list[ChatRequest]]:
    """Return the cached replies by key, and the requests without one; a cache file that is not there is not made.

    A model in this process costs nothing, so its replies are not looked up.
    """
    path = settings.cache_path
    if isinstance(settings, InProcessSettings) or path is None or not Path(path).is_file():
        return {}, list(requests)
    from steps.llm.cache import ReplyCache

    keys = request_keys(requests, settings)
    with ReplyCache(Path(path)) as cache:
        cached = cache.get_many(keys)
    return cached, [request for key, request in zip(keys, requests, strict=True) if key not in cached]


def cost_of(settings: EndpointSettings | InProcessSettings, prompt_tokens: int, reply_tokens: int) -> float | None:
    """Return US dollars, None if a price is unknown; a model in this process costs nothing."""
    return settings.cost_usd(prompt_tokens, reply_tokens) if isinstance(settings, EndpointSettings) else 0.0


def said(estimates: Sequence[Estimate]) -> list[str]:
    """Say each estimate in one line.

    >>> said([Estimate("judge", "m", 10, 4, 600, 120, 240, 0.5, 1.0, "10 rows of v1")])
    ['judge: 6 requests to m (4 of 10 cached), 600 + 120 tokens, $0.50, at most $1.00 (10 rows of v1)']
    """
    lines = []
    for one in estimates:
        known = f" ({one.n_cached:,} of {one.n_requests:,} cached)" if one.n_cached else ""
        money = "price unknown" if one.cost_usd is None else f"${one.cost_usd:,.2f}, at most ${one.most_cost_usd:,.2f}"
        tokens = f"{one.prompt_tokens:,} + {one.reply_tokens:,} tokens"
        lines.append(
            f"{one.stage}: {one.n_requests - one.n_cached:,} requests to {one.model}{known}, {tokens}, {money} "
            f"({one.basis})"
        )
    return lines


def models_in(settings: BaseModel) -> Iterator[EndpointSettings | InProcessSettings]:
    """Yield every model that some settings would ask, at any depth."""
    if isinstance(settings, EndpointSettings | InProcessSettings):
        yield settings
        return
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, BaseModel):
                yield from models_in(one)
