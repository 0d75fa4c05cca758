"""Loading a model directory, and the few facts about a model that everything else asks for."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from steps.errors import InputError

#: Loggers that announce on stderr what is either reported properly elsewhere or of no use to a reader.
_CHATTY = ("transformers", "trl", "peft", "datasets", "accelerate", "huggingface_hub")


class Loaded(NamedTuple):
    """A causal language model in evaluation mode, and its tokenizer."""

    model: Any
    tokenizer: Any


def load(model: Path | Loaded) -> Loaded:
    """Load a model directory, on the GPU if there is one; what is loaded already comes back as it is.

    Raises:
        InputError: if the directory holds no loadable model.
    """
    if not isinstance(model, Path):
        return Loaded(*model)
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(model)
    with quiet():
        try:
            network = AutoModelForCausalLM.from_pretrained(model, local_files_only=True)
        except (OSError, ValueError) as error:
            raise InputError(f"{model}: this is no directory with a causal language model: {error}") from error
    return Loaded(network.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer)


def load_tokenizer(model_dir: Path) -> Any:
    """Load the tokenizer of a model directory.

    Raises:
        InputError: if there is none, or it is not a fast one (labels need character offsets).
    """
    from transformers import AutoTokenizer

    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(model_dir, local_files_only=True)
        except (OSError, ValueError) as error:
            raise InputError(f"{model_dir}: this directory has no loadable tokenizer: {error}") from error
    if not tokenizer.is_fast:
        raise InputError(f"{model_dir}: the tokenizer has no fast version (tokenizer.json), which labels need")
    return tokenizer


def context_length(model: Any) -> int:
    """Return how many tokens the model's positions reach."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30)


def end_of_turn_ids(loaded: Loaded) -> list[int]:
    """Return the tokens that end an answer: the tokenizer's EOS, and those the model declares besides."""
    declared = loaded.model.generation_config.eos_token_id
    declared = declared if isinstance(declared, list) else [declared]
    return sorted({int(token) for token in [loaded.tokenizer.eos_token_id, *declared] if token is not None})


def pad_token_id(loaded: Loaded) -> int:
    """Return the token that fills a batch up. Any will do, as it is masked: models off the shelf often declare none."""
    declared = loaded.tokenizer.pad_token_id
    return int(declared if declared is not None else end_of_turn_ids(loaded)[0])


@contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars, warnings and chatter of the training libraries off stderr; errors still pass."""
    from transformers.utils import logging as transformers_logging

    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    bars = transformers_logging.is_progress_bar_enabled()
    parallel = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    transformers_logging.disable_progress_bar()
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
        if parallel is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = parallel
