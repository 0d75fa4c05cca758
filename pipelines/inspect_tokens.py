"""`tunesmith tokens`: what the model sees of a row, token by token."""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.config import load_config
from pipelines.runtime import prepare_environment
from steps.errors import InputError


def tokens_of_row(config_path: Path, row: int) -> str:
    """Render a training row of the config's newest data set as tokens, the trained ones green.

    Raises:
        InputError: if no data set has been curated yet, or it has no such row.
    """
    config = load_config(config_path)
    prepare_environment()
    from pipelines.versions import artifact_of, find_version
    from steps.rows import rows_of_split

    version = find_version(config.name, config.inputs, ("sft_dataset", "base_model"))
    rows = rows_of_split(artifact_of(version, "sft_dataset").load(), "train")
    if not 0 <= row < rows.num_rows:
        raise InputError(
            f"row {row} does not exist: the training split of {config.name} has rows 0 to {rows.num_rows - 1}"
        )
    found = rows.slice(row, 1).to_pylist()[0]
    return f"row {found['id']} ({found['kind']}, {found['path']})\n" + coloured(
        artifact_of(version, "base_model").load(), found["messages"]
    )


def coloured(model: Path, messages: list[dict[str, str]]) -> str:
    """Render a conversation's tokens, parted by `|`, the trained ones green, with a line of counts."""
    from steps.chat.model import load_tokenizer
    from steps.chat.render import IGNORED, encode

    tokenizer = load_tokenizer(model)
    encoded = encode(tokenizer, messages)
    shown = []
    for token, label in zip(encoded.input_ids, encoded.labels, strict=True):
        text = tokenizer.decode([token]).replace("\n", "⏎\n")
        shown.append(click.style(text, dim=True) if label == IGNORED else click.style(text, fg="green", bold=True))
    n_trained = sum(label != IGNORED for label in encoded.labels)
    return f"{'|'.join(shown)}\n{len(encoded.input_ids)} tokens, {n_trained} of them trained"
