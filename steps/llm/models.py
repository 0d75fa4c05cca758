"""One interface to every model that is asked: behind an endpoint, or loaded into this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo

from steps.llm.budget import Budget
from steps.llm.endpoint import EndpointSettings
from steps.llm.in_process import InProcessSettings
from steps.llm.request import ChatRequest, Reply
from steps.settings import Settings


class PriceSettings(Settings):
    """What a model costs."""

    input_usd: float = Field(ge=0)
    """US dollars for a million prompt tokens."""
    output_usd: float = Field(ge=0)
    """US dollars for a million reply tokens."""
    cached_input_usd: float | None = Field(default=None, ge=0)
    """US dollars for a million prompt tokens from the endpoint's own cache; none: as all others."""


class Named(NamedTuple):
    """What a config names once and uses in many places: the validation context of `Model`, as plain YAML values."""

    endpoints: Mapping[str, Any]
    """Models by the name that the config gives them."""
    prices: Mapping[str, Any]
    """`PriceSettings` by the name that the endpoint gives the model."""


def _resolve(value: Any, info: ValidationInfo) -> Any:
    """Replace a name by the model that it names, and look up the price of a model that states none."""
    named = info.context if isinstance(info.context, Named) else Named({}, {})
    if isinstance(value, str):
        if value not in named.endpoints:
            known = ", ".join(named.endpoints) or "none"
            raise ValueError(f"no model of this name stands in `endpoints`, which has: {known}")
        value = named.endpoints[value]
    if not isinstance(value, Mapping) or _type_of(value) != "openai":
        return value
    price = named.prices.get(str(value.get("model")))
    if not isinstance(price, Mapping) or {*PRICES} & {*value}:
        return value
    return {**value, **{key: price.get(own) for key, own in PRICES.items()}}


#: Fields of `EndpointSettings`, and where a price table holds them.
PRICES = {
    "price_per_million_input_usd": "input_usd",
    "price_per_million_output_usd": "output_usd",
    "price_per_million_cached_input_usd": "cached_input_usd",
}


def _type_of(value: Any) -> str:
    found = value.get("type", "openai") if isinstance(value, Mapping) else getattr(value, "type", "openai")
    return str(found)


#: `type: openai` (the default) is an OpenAI-compatible endpoint, `type: transformers` a model in this process; a string
#: names one of the config's `endpoints`.
Model = Annotated[
    Annotated[EndpointSettings, Tag("openai")] | Annotated[InProcessSettings, Tag("transformers")],
    Discriminator(_type_of),
    BeforeValidator(_resolve),
]


class Client(Protocol):
    """Asks one model."""

    def complete_all(self, requests: Sequence[ChatRequest], description: str = ...) -> list[Reply]:
        """Return one reply per request, in order; what failed for good is a reply with `error`.

        Raises:
            EndpointError: if the model cannot be asked at all.
            BudgetExceededError: if the next request could exceed the budget; all replies so far are cached.
        """


def open_client(settings: EndpointSettings | InProcessSettings, budget: Budget | None = None) -> Client:
    """Return the client of a model. Clients that share a `budget` spend from it together."""
    if isinstance(settings, InProcessSettings):
        from steps.llm.in_process import InProcessClient

        return InProcessClient(settings, budget)
    from steps.llm.client import ChatClient

    return ChatClient(settings, budget)
