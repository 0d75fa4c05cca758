"""How requests go through a batch endpoint: half the price, answered within a day (`steps/llm/batch_client.py`)."""

from __future__ import annotations

from pydantic import Field

from steps.settings import Settings


class BatchSettings(Settings):
    """The OpenAI batch protocol: a file of requests goes up, a file of replies comes down.

    The limits and the price are OpenAI's (platform.openai.com/docs/guides/batch, 2026).
    """

    poll_s: float = Field(default=30.0, gt=0)
    """Seconds between two looks at the state of the batches."""
    completion_window: str = Field(default="24h", pattern=r"^\d+[smhd]$")
    """Time that the endpoint may take; OpenAI knows `24h` only."""
    max_requests_per_batch: int = Field(default=50_000, ge=1)
    """Requests in one file."""
    max_file_bytes: int = Field(default=200_000_000, ge=1)
    """Bytes of one file. A single request that is larger goes alone, for the endpoint to refuse."""
    price_factor: float = Field(default=0.5, ge=0, le=1)
    """Share of the model's prices that a batch costs."""
    max_wait_s: float = Field(default=93_600.0, gt=0)
    """Seconds (26 hours) that one run waits for its batches. They go on without it, and the next run collects them."""
    max_submissions: int = Field(default=2, ge=1, le=10)
    """How often one run submits a request that a batch left unanswered: because it expired, or the endpoint failed."""
