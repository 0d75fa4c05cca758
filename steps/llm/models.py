"""One interface to every model that is asked: behind an endpoint, or loaded into this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

from pydantic import Discriminator, Tag

from steps.llm.budget import Budget
from steps.llm.endpoint import EndpointSettings
from steps.llm.in_process import InProcessSettings
from steps.llm.request import ChatRequest, Reply


def _type_of(value: Any) -> str:
    found = value.get("type", "openai") if isinstance(value, Mapping) else getattr(value, "type", "openai")
    return str(found)


#: `type: openai` (the default) is an OpenAI-compatible endpoint, `type: transformers` a model in this process.
Model = Annotated[
    Annotated[EndpointSettings, Tag("openai")] | Annotated[InProcessSettings, Tag("transformers")],
    Discriminator(_type_of),
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
