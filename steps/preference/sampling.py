"""Several answers to each prompt: from the SFT model at one or more temperatures, and from other models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from steps.chat.generation import Generated, GenerationSettings
from steps.llm.models import Model
from steps.llm.request import ChatRequest, Failed, Reply
from steps.preference.asking import Models
from steps.settings import Settings

Prompt = list[dict[str, str]]
#: Answers each prompt with the SFT model: one list of samples per prompt, in order.
Sample = Callable[[list[Prompt], GenerationSettings], list[list[Generated]]]
#: The SFT model in reports and ledgers; another one goes by its own name.
SFT_MODEL = "sft_model"


class SamplingSettings(GenerationSettings):
    """How the model is sampled: warm, and several times."""

    temperature: float = Field(default=0.8, gt=0, le=2.0)
    """Divisor of the logits."""
    temperatures: tuple[Annotated[float, Field(gt=0, le=2.0)], ...] | None = Field(default=None, min_length=1)
    """Several temperatures, over which the samples of a prompt are spread in turn; none uses `temperature`."""
    samples_per_prompt: int = Field(default=4, ge=2, le=64)
    """Answers per prompt, all temperatures together."""

    @model_validator(mode="after")
    def _every_temperature_is_used(self) -> SamplingSettings:
        if len(self.each_temperature) > self.samples_per_prompt:
            raise ValueError(
                f"samples_per_prompt={self.samples_per_prompt} leaves some of {len(self.each_temperature)} "
                "temperatures unused; raise it"
            )
        return self

    @property
    def each_temperature(self) -> tuple[float, ...]:
        """The temperatures."""
        return (self.temperature,) if self.temperatures is None else self.temperatures

    def at_each_temperature(self) -> list[GenerationSettings]:
        """Return what is generated at each temperature: its share of the samples, with a seed of its own."""
        same = self.model_dump(include={"max_new_tokens", "top_p", "batch_size"})
        n = len(self.each_temperature)
        shares = [len(range(at, self.samples_per_prompt, n)) for at in range(n)]
        return [
            GenerationSettings(**same, temperature=temperature, seed=self.seed + at, samples_per_prompt=shares[at])
            for at, temperature in enumerate(self.each_temperature)
        ]


class OtherModelSettings(Settings):
    """Another model whose answers stand beside those of the SFT model."""

    model: Model
    """An endpoint, or a model in this process; it gets the same prompts, and its own `max_tokens`."""
    samples_per_prompt: int = Field(default=1, ge=1, le=64)
    """Answers per prompt, at the temperatures of `generation` in turn."""


class Sampled(NamedTuple):
    """One answer and who gave it."""

    answer: Generated
    sampler: str


def sample_all(
    prompts: list[Prompt],
    sample: Sample,
    generation: SamplingSettings,
    others: Sequence[OtherModelSettings],
    models: Models,
) -> list[list[Sampled]]:
    """Answer every prompt with every model.

    Args:
        prompts: Conversations that end before the assistant speaks.
        sample: Answers with the SFT model.
        generation: How often, and how warm.
        others: Models besides.
        models: Asks them.

    Returns:
        For each prompt, in order, all its answers; what failed carries its error.
    """
    found: list[list[Sampled]] = [[] for _ in prompts]
    if not prompts:
        return found
    for settings in generation.at_each_temperature():
        for own, answers in zip(found, sample(prompts, settings), strict=True):
            own += [Sampled(answer, f"{SFT_MODEL} at {settings.temperature:g}") for answer in answers]
    for other in others:
        temperatures = generation.each_temperature
        numbers = range(other.samples_per_prompt)
        requests = [
            ChatRequest(prompt, sample=number, temperature=temperatures[number % len(temperatures)])
            for prompt in prompts
            for number in numbers
        ]
        replies = iter(models.ask(other.model, requests, f"sampling {other.model.model}"))
        for own in found:
            for number in numbers:
                temperature = temperatures[number % len(temperatures)]
                own.append(Sampled(_generated(next(replies)), f"{other.model.model} at {temperature:g}"))
    return found


def _generated(reply: Reply) -> Generated:
    """Convert a reply; one that was cut off is an answer that did not end."""
    if reply.failure is Failed.TRUNCATED_REPLY:
        return Generated(reply.text, reply.completion_tokens, False)
    return Generated(reply.text, reply.completion_tokens, reply.error is None, reply.error)
