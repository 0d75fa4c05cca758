"""Text generation and held-out loss with a model directory: what evaluation, preference sampling and chat call."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from steps.chat.model import Loaded, context_length, end_of_turn_ids, load, pad_token_id
from steps.chat.render import IGNORED, Encoded, encode, encode_prompt
from steps.errors import InputError
from steps.progress import progress
from steps.settings import Settings

Conversation = Sequence[Mapping[str, str]]


class GenerationSettings(Settings):
    """How answers are generated. Nothing is taken over from the model's own `generation_config.json` but EOS."""

    max_new_tokens: int = Field(default=256, ge=1, le=32768)
    """The longest answer, in tokens, its end-of-turn token included."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 is greedy decoding, otherwise the divisor of the logits."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751); 1 keeps all tokens. Unused when greedy."""
    batch_size: int = Field(default=16, ge=1, le=1024)
    """Prompts per forward pass."""
    seed: int = Field(default=0, ge=0)
    """Seed of the sampling; a result also depends on batch_size. Unused when greedy."""
    samples_per_prompt: int = Field(default=1, ge=1, le=64)
    """Answers per prompt; more than one needs a temperature above 0."""

    @model_validator(mode="after")
    def _samples_differ(self) -> GenerationSettings:
        if self.samples_per_prompt > 1 and self.temperature == 0:
            raise ValueError(
                f"samples_per_prompt={self.samples_per_prompt} with temperature=0 gives the same answer each time; "
                "set a temperature such as 0.8"
            )
        return self


class Generated(NamedTuple):
    """One answer. `n_tokens` counts the end-of-turn token; `stopped` says that the model ended the turn itself."""

    text: str
    n_tokens: int
    stopped: bool
    error: str | None = None


class LossRow(NamedTuple):
    """Negative log-likelihood (nats) of a conversation's trained tokens. With an `error`, both numbers are 0."""

    total_nll: float
    n_tokens: int
    error: str | None = None


def generate(
    model: Path | Loaded, prompts: Sequence[Conversation], settings: GenerationSettings
) -> list[list[Generated]]:
    """Answer each prompt `samples_per_prompt` times.

    Prompts of similar length share a batch, padded on the left. A prompt that leaves no room for `max_new_tokens` in
    the model's context is not cut: its answers carry an `error` instead.

    Args:
        model: A model directory, or one that is loaded.
        prompts: Conversations that end before the assistant speaks.
        settings: How to decode.

    Returns:
        For each prompt, in order, its answers.
    """
    import torch

    loaded = load(model)
    decoding = _decoding(loaded, settings)
    results: list[list[Generated]] = [[] for _ in prompts]
    encoded: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        ids = _prompt_ids(loaded, prompt, settings)
        if isinstance(ids, str):
            results[i] = [Generated("", 0, False, ids)] * settings.samples_per_prompt
        else:
            encoded[i] = ids
    order = sorted(encoded, key=lambda i: (len(encoded[i]), i))
    with torch.random.fork_rng(), own_decoding(loaded), progress("generating", len(order)) as bar:
        torch.manual_seed(settings.seed)
        for at in range(0, len(order), settings.batch_size):
            batch = order[at : at + settings.batch_size]
            for i, answers in zip(batch, _answer(loaded, [encoded[i] for i in batch], decoding), strict=True):
                results[i] = answers
            bar.advance(len(batch))
    return results


def stream(model: Path | Loaded, messages: Conversation, settings: GenerationSettings) -> Iterator[str]:
    """Yield an answer piece by piece, as it is generated.

    Raises:
        InputError: if the conversation does not fit the model's context, or its template.
    """
    import torch
    from transformers import StoppingCriteriaList, TextIteratorStreamer

    loaded = load(model)
    ids = _prompt_ids(loaded, messages, settings)
    if isinstance(ids, str):
        raise InputError(ids)
    streamer = TextIteratorStreamer(loaded.tokenizer, skip_prompt=True, skip_special_tokens=True)
    decoding = _decoding(loaded, settings)
    abandoned, failures = Event(), list[Exception]()

    def run() -> None:
        try:
            with torch.random.fork_rng(), own_decoding(loaded), torch.inference_mode():
                torch.manual_seed(settings.seed)
                batch = torch.tensor([ids], device=loaded.model.device)
                loaded.model.generate(
                    input_ids=batch,
                    attention_mask=torch.ones_like(batch),
                    generation_config=decoding,
                    streamer=streamer,
                    stopping_criteria=StoppingCriteriaList([lambda *_, **__: abandoned.is_set()]),
                )
        except Exception as error:
            failures.append(error)
        finally:
            streamer.end()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield from (piece for piece in streamer if piece)
    finally:
        abandoned.set()
        thread.join()
    if failures:
        raise failures[0]


def held_out_loss(model: Path | Loaded, conversations: Sequence[Conversation], batch_size: int = 16) -> list[LossRow]:
    """Return the negative log-likelihood of each conversation's trained tokens: the answers and their ends of turn.

    The loss per token of a data set is `sum(total_nll) / sum(n_tokens)`, not the mean of the rows' means.
    """
    import torch

    loaded = load(model)
    context = context_length(loaded.model)
    results = [LossRow(0.0, 0)] * len(conversations)
    encoded = {}
    for i, conversation in enumerate(conversations):
        try:
            row = encode(loaded.tokenizer, conversation)
        except InputError as error:
            results[i] = LossRow(0.0, 0, str(error))
            continue
        if len(row.input_ids) > context:
            results[i] = LossRow(0.0, 0, f"{len(row.input_ids)} tokens exceed the model's context of {context}")
        elif all(label == IGNORED for label in row.labels):
            results[i] = LossRow(0.0, 0, "the conversation has no assistant turn")
        else:
            encoded[i] = row
    order = sorted(encoded, key=lambda i: (len(encoded[i].input_ids), i))
    with torch.inference_mode(), progress("held-out loss", len(order)) as bar:
        for at in range(0, len(order), batch_size):
            batch = order[at : at + batch_size]
            for i, loss in zip(batch, _losses(loaded, [encoded[i] for i in batch]), strict=True):
                results[i] = loss
            bar.advance(len(batch))
    return results


def _prompt_ids(loaded: Loaded, prompt: Conversation, settings: GenerationSettings) -> list[int] | str:
    """Return the prompt's tokens, or why it cannot be answered."""
    try:
        ids = encode_prompt(loaded.tokenizer, prompt)
    except InputError as error:
        return str(error)
    context = context_length(loaded.model)
    if len(ids) + settings.max_new_tokens <= context:
        return ids
    return (
        f"the prompt has {len(ids)} tokens, which with max_new_tokens={settings.max_new_tokens} exceeds the model's "
        f"context of {context}"
    )


def _answer(loaded: Loaded, prompts: Sequence[list[int]], decoding: Any) -> list[list[Generated]]:
    answers = [
        Generated(loaded.tokenizer.decode(tokens, skip_special_tokens=True), len(tokens), stopped)
        for tokens, stopped in continuations(loaded, prompts, decoding)
    ]
    n = decoding.num_return_sequences
    return [answers[at : at + n] for at in range(0, len(answers), n)]


def continuations(
    loaded: Loaded, prompts: Sequence[list[int]], decoding: Any, choose: Any | None = None
) -> list[tuple[list[int], bool]]:
    """Continue a batch of tokenised prompts, padded on the left.

    Args:
        loaded: The model, whose own generation config is set aside (`own_decoding`).
        prompts: Token ids.
        decoding: A `transformers.GenerationConfig`.
        choose: A `transformers.LogitsProcessor`, called before each token.

    Returns:
        For each prompt `num_return_sequences` times: the new tokens up to the first end-of-turn token (what follows is
        padding), and whether the model ended the turn itself.
    """
    import torch
    from transformers import LogitsProcessorList

    width = max(len(prompt) for prompt in prompts)
    pad = decoding.pad_token_id
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    device = loaded.model.device
    with torch.inference_mode():
        output = loaded.model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            generation_config=decoding,
            logits_processor=LogitsProcessorList([choose] if choose is not None else []),
        )
    found = []
    for tokens in output[:, width:].tolist():
        end = next((at for at, token in enumerate(tokens) if token in decoding.eos_token_id), None)
        found.append((tokens if end is None else tokens[: end + 1], end is not None))
    return found


def _decoding(loaded: Loaded, settings: GenerationSettings) -> Any:
    from transformers import GenerationConfig

    sampling = {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0, "do_sample": True}
    return GenerationConfig(
        max_new_tokens=settings.max_new_tokens,
        num_return_sequences=settings.samples_per_prompt,
        eos_token_id=end_of_turn_ids(loaded),
        pad_token_id=pad_token_id(loaded),
        **(sampling if settings.temperature > 0 else {"do_sample": False}),
    )


@contextmanager
def own_decoding(loaded: Loaded) -> Iterator[None]:
    """Set aside the model's generation config, whose values (a repetition penalty, say) would fill our gaps."""
    from transformers import GenerationConfig

    kept, loaded.model.generation_config = loaded.model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        loaded.model.generation_config = kept


def _losses(loaded: Loaded, rows: Sequence[Encoded]) -> list[LossRow]:
    import torch

    width = max(len(row.input_ids) for row in rows)
    pad = loaded.tokenizer.pad_token_id
    ids = torch.tensor([row.input_ids + [pad] * (width - len(row.input_ids)) for row in rows])
    labels = torch.tensor([row.labels + [IGNORED] * (width - len(row.labels)) for row in rows])
    mask = torch.tensor([[1] * len(row.input_ids) + [0] * (width - len(row.input_ids)) for row in rows])
    device = loaded.model.device
    logits = loaded.model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits[:, :-1]
    results = []
    for row, targets in zip(logits, labels[:, 1:].to(device), strict=True):
        trained = targets != IGNORED
        nll = torch.nn.functional.cross_entropy(row[trained].float(), targets[trained], reduction="sum").item()
        n_tokens = int(trained.sum())
        results.append(LossRow(nll, n_tokens) if math.isfinite(nll) else LossRow(0.0, 0, f"the loss is {nll}"))
    return results
