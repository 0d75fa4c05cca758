"""The base model of a run: a complete local directory with a chat template that has been checked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from steps.chat.model import context_length, quiet
from steps.chat.template import TEMPLATES, ChatTemplate, check_template, describe, has_generation_markers, install
from steps.errors import InputError
from steps.settings import Settings
from steps.training.loop import isolated_randomness
from steps.training.manifest import write_manifest
from steps.training.tiny_base import TinyBaseSettings, train_tiny_base

TINY = "tiny"
_PRETRAINING_REPORT = "pretraining.json"


class ModelSettings(Settings):
    """The model that training starts from. Code of a model repository is never executed: there is no such option."""

    base: str = Field(default=TINY, min_length=1)
    """`tiny` (the embedded model, pre-trained in about a minute), a local directory, or a Hub id."""
    revision: str | None = None
    """Branch, tag or commit of a Hub id; None is its main branch."""
    chat_template: Literal["auto", "chatml", "llama3", "mistral"] = "auto"
    """`auto` keeps a model's own template; one without gets the first whose tokens it knows, else ChatML."""
    max_length_tokens: int | None = Field(default=None, ge=8)
    """The longest conversation to train on or serve; None is the context that the model's config states."""
    tiny: TinyBaseSettings = TinyBaseSettings()
    """How the embedded model is trained; unused for any other base."""


def prepare_base(settings: ModelSettings, output: Path) -> Path:
    """Write a model directory that training, evaluation and chat can start from.

    Args:
        settings: Which model, and which template.
        output: A directory to write; created if it is missing.

    Returns:
        `output`: config, safetensors, tokenizer, `chat_template.jinja`, generation config and `tunesmith.json`.

    Raises:
        InputError: if the model cannot be loaded, is not a causal language model, or no template fits it.
    """
    output.mkdir(parents=True, exist_ok=True)
    if settings.base != TINY:
        return _prepare(settings, settings.base, settings.revision, output)
    scratch = output / "pretrained"
    try:
        with quiet():
            train_tiny_base(settings.tiny, scratch)
        _prepare(settings, str(scratch), None, output)
        shutil.copyfile(scratch / _PRETRAINING_REPORT, output / _PRETRAINING_REPORT)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return output


def check_model(settings: ModelSettings) -> None:
    """Check, before a run starts, that the tokenizer loads and a chat template fits it; no weights are read.

    Raises:
        InputError: as `prepare_base`, for what the tokenizer alone can tell.
    """
    if settings.base == TINY:
        return
    tokenizer = _load_tokenizer(settings.base, settings.revision)
    with quiet():
        template, _ = fit_template(tokenizer, settings.chat_template)
        check_template(tokenizer, template)


def _prepare(settings: ModelSettings, source: str, revision: str | None, output: Path) -> Path:
    tokenizer = _load_tokenizer(source, revision)
    model = _from_pretrained("AutoModelForCausalLM", source, revision)
    with quiet():
        template, added = fit_template(tokenizer, settings.chat_template)
        check_template(tokenizer, template)
        if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
            _resize(model, len(tokenizer))
        context = context_length(model)
        if settings.max_length_tokens is not None and settings.max_length_tokens > context:
            raise InputError(
                f"model.max_length_tokens={settings.max_length_tokens} exceeds the context of {settings.base}, "
                f"{context} tokens; lower it or remove it"
            )
        tokenizer.model_max_length = settings.max_length_tokens or context
        _agree_on_tokens(model, tokenizer)
        model.save_pretrained(output)
        tokenizer.save_pretrained(output)
    never_seen = list(template.required_tokens) if settings.base == TINY else added
    write_manifest(
        output,
        {
            "kind": "base",
            "base": _reference(settings),
            "revision": getattr(model.config, "_commit_hash", None) or revision,
            "template": {"name": template.name, "sha256": template.sha256},
            "untrained_tokens": never_seen,
            "seed": settings.tiny.seed if settings.base == TINY else None,
            "settings": settings.model_dump(mode="json", exclude=set() if settings.base == TINY else {"tiny"})
            | {"base": _reference(settings)},
            "history": [],
        },
    )
    return output


def _load_tokenizer(source: str, revision: str | None) -> Any:
    tokenizer = _from_pretrained("AutoTokenizer", source, revision)
    if not tokenizer.is_fast:
        raise InputError(f"model.base={source} has no fast tokenizer (tokenizer.json), which label masks need")
    return tokenizer


def _from_pretrained(auto_class: str, source: str, revision: str | None) -> Any:
    import transformers

    local = Path(source).is_dir()
    if not local and (source.startswith((".", "/", "~")) or source.count("/") > 1):
        raise InputError(f"model.base={source} is no directory; give an existing path, a Hub id, or `tiny`")
    options = {"revision": revision} if revision and not local else {}
    with quiet():
        try:
            return getattr(transformers, auto_class).from_pretrained(source, trust_remote_code=False, **options)
        except (OSError, ValueError) as error:
            raise InputError(
                f"model.base={source} cannot be loaded as a causal language model: {str(error).splitlines()[0]} "
                "Check the path or Hub id, and HF_TOKEN for a gated model; models that need their own code are refused"
            ) from error


def fit_template(tokenizer: Any, wanted: str) -> tuple[ChatTemplate, list[str]]:
    """Choose a template, put it on the tokenizer, and return it with the tokens that had to be added.

    Raises:
        InputError: if the model has its own template and another one is wanted, or its own cannot be trained with.
    """
    own = tokenizer.chat_template
    if isinstance(own, dict):
        own = tokenizer.chat_template = own.get("default")
    if own is None:
        template = TEMPLATES[wanted] if wanted != "auto" else _nearest(tokenizer)
        return template, install(tokenizer, template)
    if wanted != "auto" and own.strip() != TEMPLATES[wanted].text.strip():
        raise InputError(
            f"model.chat_template={wanted}, but the model has a chat template of its own, which it was trained with; "
            "set model.chat_template: auto to keep it"
        )
    if not has_generation_markers(own):
        own = _patched(tokenizer)
    template = describe(own, tokenizer.eos_token or "")
    return template, install(tokenizer, template)


def _nearest(tokenizer: Any) -> ChatTemplate:
    """Return the first shipped template whose tokens the tokenizer knows, else ChatML."""
    known = tokenizer.get_vocab()
    fitting = (t for t in TEMPLATES.values() if all(token in known for token in t.required_tokens))
    return next(fitting, TEMPLATES["chatml"])


def _patched(tokenizer: Any) -> str:
    """Return the model's own template with generation markers, for the families that TRL knows."""
    from trl.chat_template_utils import get_training_chat_template

    try:
        patched = get_training_chat_template(tokenizer)
    except ValueError as error:
        raise InputError(
            "the model's chat template has no {% generation %} markers and is of no known family, so nothing says "
            "which tokens are the assistant's. Add the markers around the assistant's text and end-of-turn token in "
            "its chat_template.jinja, or start from the base model that it was tuned from"
        ) from error
    return str(patched)


def _resize(model: Any, n_tokens: int) -> None:
    """Add rows to the embeddings, drawn around the mean of the old ones with a fixed seed."""
    import torch

    with isolated_randomness():
        torch.manual_seed(0)
        model.resize_token_embeddings(n_tokens)


def _agree_on_tokens(model: Any, tokenizer: Any) -> None:
    """Let model, generation config and tokenizer name the same EOS and pad; what ended a text before still does."""
    generation = model.generation_config
    former = generation.eos_token_id if isinstance(generation.eos_token_id, list) else [generation.eos_token_id]
    ends = [tokenizer.eos_token_id, *(token for token in former if token is not None)]
    generation.eos_token_id = list(dict.fromkeys(ends))
    generation.pad_token_id = tokenizer.pad_token_id
    model.config.get_text_config().eos_token_id = tokenizer.eos_token_id
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id


def _reference(settings: ModelSettings) -> str:
    """Name the base model without telling where on this machine it lies."""
    if settings.base == TINY:
        return "tunesmith-tiny"
    return Path(settings.base).resolve().name if Path(settings.base).is_dir() else settings.base
