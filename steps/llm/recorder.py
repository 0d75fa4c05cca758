"""Stands in for a model, to learn what it would be asked."""

from __future__ import annotations

from collections.abc import Sequence

from steps.llm.request import ChatRequest, Failed, Reply


class Recorder:
    """Keeps the requests that it gets, and answers none."""

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    def __call__(self, requests: Sequence[ChatRequest], description: str = "") -> list[Reply]:
        """Keep the requests, and fail each."""
        self.requests += requests
        nothing = Reply("", "", 0, 0, None, 0.0, 0, False, f"{Failed.NOT_SENT}: only recorded")
        return [nothing] * len(requests)
