"""How to reach an OpenAI-compatible chat endpoint, and what it costs."""

from __future__ import annotations

import os
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from steps.errors import ConfigError
from steps.settings import Settings


class EndpointSettings(Settings):
    """One model behind one OpenAI-compatible endpoint."""

    type: Literal["openai"] = "openai"
    base_url: str
    """Address up to and including the version, e.g. `http://localhost:8000/v1`; `/chat/completions` is appended."""
    model: str = Field(min_length=1)
    """Model name as the endpoint knows it."""
    family: str | None = None
    """Whose model it is (`gpt`, `claude`, `llama`, …); none derives it from the name. A judge of the generator's family
    is flagged."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the key, never the key; none sends no key (a local server)."""
    max_concurrency: int = Field(default=16, ge=1, le=1024)
    """Requests in flight at once."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Seconds for one attempt, from connecting to the last byte."""
    max_retries: int = Field(default=5, ge=0, le=20)
    """Further attempts after 408, 409, 429, 5xx, a timeout or a lost connection."""
    backoff_s: float = Field(default=0.5, gt=0)
    """Upper bound in seconds of the first random wait; it doubles with every attempt. `Retry-After` overrides it."""
    max_wait_s: float = Field(default=60.0, gt=0)
    """No single wait is longer than this many seconds, whatever `Retry-After` asks for."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; none leaves it to the endpoint (some reasoning models refuse any)."""
    max_tokens: int = Field(default=1024, ge=1)
    """Longest reply in tokens. A reply cut off by it is asked for once more with twice as many."""
    price_per_million_input_usd: float | None = Field(default=None, ge=0)
    """US dollars for a million prompt tokens; none: unknown. A local model costs 0."""
    price_per_million_output_usd: float | None = Field(default=None, ge=0)
    """US dollars for a million reply tokens; none: unknown."""
    max_cost_usd: float | None = Field(default=None, ge=0)
    """Budget in US dollars of one stage's run; none is unlimited. Replies from the cache cost nothing."""
    cache_path: str | None = Field(default=".tunesmith/replies.sqlite", min_length=1)
    """SQLite file that keeps every reply, relative to the working directory; none asks (and pays) anew each time."""

    @field_validator("base_url")
    @classmethod
    def _is_http_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("not an address such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("credentials do not belong into the address; name their variable in api_key_env")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _budget_needs_prices(self) -> EndpointSettings:
        if self.max_cost_usd is not None and None in self.prices:
            raise ValueError(
                f"max_cost_usd={self.max_cost_usd:g} cannot be kept without prices; set "
                "price_per_million_input_usd and price_per_million_output_usd (0 for a local model)"
            )
        return self

    @property
    def prices(self) -> tuple[float | None, float | None]:
        """US dollars per million prompt and reply tokens."""
        return self.price_per_million_input_usd, self.price_per_million_output_usd

    def cost_usd(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Price a reply in US dollars; None if a price is unknown.

        >>> endpoint = EndpointSettings(base_url="http://x/v1", model="m", price_per_million_input_usd=1,
        ...     price_per_million_output_usd=4)
        >>> endpoint.cost_usd(1_000_000, 500_000)
        3.0
        """
        if self.price_per_million_input_usd is None or self.price_per_million_output_usd is None:
            return None
        input_usd = prompt_tokens * self.price_per_million_input_usd
        return (input_usd + completion_tokens * self.price_per_million_output_usd) / 1e6


def api_key(settings: EndpointSettings) -> str | None:
    """Read the key from the environment variable that the settings name; the pre-flight check calls this too.

    Raises:
        ConfigError: if the variable is not set.
    """
    if settings.api_key_env is None:
        return None
    key = os.environ.get(settings.api_key_env, "").strip()
    if not key:
        raise ConfigError(
            f"api_key_env={settings.api_key_env}: this environment variable is not set, yet the endpoint "
            f"{settings.base_url} is to be asked with its value; export it, or leave api_key_env out for an endpoint "
            "without keys"
        )
    return key
