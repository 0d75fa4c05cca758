"""`tunesmith chat`: a conversation with a model directory, streamed, with the model's own template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from steps.errors import InputError


def converse(model: Path, prompt: str | None, system: str | None, max_new_tokens: int, temperature: float) -> None:
    """Answer one prompt, or every line that is typed until an empty one.

    Raises:
        InputError: if `model` is no model directory, or the conversation outgrows its context.
    """
    if not (model / "config.json").is_file():
        raise InputError(
            f"{model} is no model directory (it has no config.json); give a release such as outputs/latest/release"
        )
    from steps.chat.generation import GenerationSettings, stream
    from steps.chat.model import load
    from steps.chat.template import template_of

    template = template_of(model)
    settings = GenerationSettings(max_new_tokens=max_new_tokens, temperature=temperature)
    loaded = load(model)
    history = [{"role": "system", "content": system}] if system else []
    if prompt is None:
        click.echo(f"template {template.name} ({template.sha256[:12]}); an empty line ends the conversation", err=True)
    for question in [prompt] if prompt is not None else _typed():
        history.append({"role": "user", "content": question})
        pieces = []
        for piece in stream(loaded, history, settings):
            pieces.append(piece)
            click.echo(piece, nl=False)
        click.echo()
        history.append({"role": "assistant", "content": "".join(pieces)})


def _typed() -> Iterator[str]:
    while line := click.prompt("you", default="", show_default=False, err=True):
        yield str(line)
