"""How to reach an OpenAI-compatible chat endpoint, and what it costs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from steps.errors import ConfigError
from steps.llm.batch import BatchSettings
from steps.settings import Settings

#: What the client itself puts into a call; `extra_body` cannot replace it.
_OWN_FIELDS = frozenset(
    "model messages max_tokens max_completion_tokens temperature top_p seed n stream logprobs top_logprobs "
    "response_format tools tool_choice".split()
)
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


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
    tokenizer: str | None = None
    """Folder or Hub id of the model's tokenizer, with which `tunesmith plan` counts; none counts with that of the base
    model, which differs by some percent."""
    api_key_env: str | None = Field(default=None, pattern=_VARIABLE)
    """Name of the environment variable that holds the key, never the key; none sends no key (a local server)."""
    extra_headers_env: Mapping[str, Annotated[str, Field(pattern=_VARIABLE)]] = Field(default_factory=dict)
    """Further headers, each with the name of the environment variable that holds its value, e.g.
    `{api-key: AZURE_KEY}`."""
    max_concurrency: int = Field(default=16, ge=1, le=1024)
    """Requests in flight at once. Lowered while the endpoint is overloaded, and raised again step by step."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Requests sent in any minute; none is unlimited. Sent at an even pace, in bursts of at most one second's worth."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Prompt and reply tokens in a minute; none is unlimited. Estimated before sending, corrected by the reply's
    `usage`."""
    connect_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds to open a connection."""
    first_byte_timeout_s: float | None = Field(default=None, gt=0)
    """Seconds that the endpoint may be silent before its reply begins or between two parts of it; none leaves it to
    `timeout_s`. Most endpoints send nothing until the whole reply is written, so allow for the longest one."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Seconds for one attempt, from connecting to the last byte."""
    max_retries: int = Field(default=5, ge=0, le=20)
    """Further attempts after 408, 409, 429, 5xx, a timeout or a lost connection. A reply that is cut off, empty or not
    of the requested form is asked for once more, within the same number of retries."""
    backoff_s: float = Field(default=0.5, gt=0)
    """Upper bound in seconds of the first random wait; it doubles with every attempt. It comes on top of
    `Retry-After`."""
    max_wait_s: float = Field(default=60.0, gt=0)
    """No single wait is longer than this many seconds, whatever `Retry-After` asks for."""
    breaker_failures: int | None = Field(default=10, ge=1)
    """After this many failed attempts in a row, over all requests, the endpoint is left alone for a while; then one
    request tries it. None never pauses."""
    breaker_pause_s: float = Field(default=2.0, gt=0)
    """Seconds of the first such pause; each further one is twice as long, up to `max_wait_s`."""
    max_pause_s: float = Field(default=600.0, gt=0)
    """After pauses of this many seconds without one answer the run stops."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; none leaves it to the endpoint (some reasoning models refuse any)."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Probability mass that is sampled from; none leaves it to the endpoint."""
    seed: int | None = Field(default=None, ge=0)
    """Seed of the sampling, where the endpoint heeds one; sample `i` of a prompt has `seed + i`. None sends none."""
    max_tokens: int = Field(default=1024, ge=1)
    """Longest reply in tokens. A reply cut off by it is asked for once more with twice as many."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How the endpoint calls it; OpenAI's reasoning models take only `max_completion_tokens`."""
    extra_body: Mapping[str, Any] = Field(default_factory=dict)
    """Sent along with each call and part of the cache key, e.g. `{reasoning_effort: low}` or
    `{chat_template_kwargs: {enable_thinking: false}}`."""
    probe: bool = True
    """Try out, before the first call that needs it, whether the endpoint heeds a JSON schema, log-probabilities and the
    seed: many ignore them in silence. The findings are kept in the cache file. False trusts the endpoint."""
    price_per_million_input_usd: float | None = Field(default=None, ge=0)
    """US dollars for a million prompt tokens; none: unknown. A local model costs 0."""
    price_per_million_cached_input_usd: float | None = Field(default=None, ge=0)
    """US dollars for a million prompt tokens that the endpoint had in its own cache; none: as all others."""
    price_per_million_output_usd: float | None = Field(default=None, ge=0)
    """US dollars for a million reply tokens, those of its reasoning included; none: unknown."""
    batch: BatchSettings | None = None
    """Ask through the endpoint's batches, which cost half and take up to a day; none asks each prompt at once."""
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

    @field_validator("extra_body")
    @classmethod
    def _replaces_nothing(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if taken := sorted(_OWN_FIELDS & value.keys()):
            raise ValueError(f"{', '.join(taken)} cannot be set here; use the settings of that name, or leave it out")
        return value

    @model_validator(mode="after")
    def _batches_need_a_cache(self) -> EndpointSettings:
        if self.batch is not None and self.cache_path is None:
            raise ValueError("batch needs a cache_path: the file in which a killed run finds its batches again")
        return self

    @property
    def prices(self) -> tuple[float | None, float | None]:
        """US dollars per million prompt and reply tokens."""
        return self.price_per_million_input_usd, self.price_per_million_output_usd

    def cost_usd(self, prompt_tokens: int, completion_tokens: int, cached_prompt_tokens: int = 0) -> float | None:
        """Price a reply in US dollars; None if a price is unknown.

        Args:
            prompt_tokens: All of the prompt.
            completion_tokens: All of the reply.
            cached_prompt_tokens: How many of `prompt_tokens` came from the endpoint's own cache.

        >>> endpoint = EndpointSettings(base_url="http://x/v1", model="m", price_per_million_input_usd=1,
        ...     price_per_million_output_usd=4)
        >>> endpoint.cost_usd(1_000_000, 500_000)
        3.0
        """
        if self.price_per_million_input_usd is None or self.price_per_million_output_usd is None:
            return None
        input_usd = prompt_tokens * self.price_per_million_input_usd
        if self.price_per_million_cached_input_usd is not None:
            less_usd = self.price_per_million_input_usd - self.price_per_million_cached_input_usd
            input_usd -= cached_prompt_tokens * less_usd
        return (input_usd + completion_tokens * self.price_per_million_output_usd) / 1e6


def api_key(settings: EndpointSettings) -> str | None:
    """Read the key from the environment variable that the settings name; the pre-flight check calls this too.

    Raises:
        ConfigError: if the variable is not set.
    """
    return None if settings.api_key_env is None else _value_of(settings.api_key_env, "api_key_env", settings)


def extra_headers(settings: EndpointSettings) -> dict[str, str]:
    """Read the values of `extra_headers_env` from the environment.

    Raises:
        ConfigError: if a variable is not set.
    """
    return {
        header: _value_of(variable, f"extra_headers_env.{header}", settings)
        for header, variable in settings.extra_headers_env.items()
    }


def _value_of(variable: str, key: str, settings: EndpointSettings) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"{key}={variable}: this environment variable is not set, yet the endpoint {settings.base_url} is to be "
            f"asked with its value; export it, or leave {key} out for an endpoint that needs none"
        )
    return value
