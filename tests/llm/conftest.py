from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from steps.llm.budget import Budget
from steps.llm.client import ChatClient
from steps.llm.endpoint import EndpointSettings
from tests.llm.server import FakeEndpoint


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint() as running:
        yield running


@pytest.fixture
def make_client(endpoint: FakeEndpoint, tmp_path: Path) -> Callable[..., ChatClient]:
    def make(budget: Budget | None = None, **changes: Any) -> ChatClient:
        defaults: dict[str, Any] = {
            "base_url": endpoint.base_url,
            "model": "tiny",
            "timeout_s": 5.0,
            "backoff_s": 0.001,
            "cache_path": str(tmp_path / "replies.sqlite"),
        }
        return ChatClient(EndpointSettings(**{**defaults, **changes}), budget)

    return make
