"""Chat templates: the ones shipped here, how one is put on a tokenizer, and the checks that it must pass.

A wrong template fails silently: a stop token that is not trained makes a model that never stops, a template that
renders history differently trains on prompts that are never served. So a template is checked before any training.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.chat.render import IGNORED, encode, encode_prompt
from steps.errors import InputError

_FOLDER = Path(__file__).parent / "templates"

#: Conversations on which a template is checked; the second has a system turn, which some templates refuse.
_TURNS = [
    {"role": "user", "content": "Name a colour."},
    {"role": "assistant", "content": "Blue."},
    {"role": "user", "content": "Another one?"},
    {"role": "assistant", "content": "Green."},
]
_PROBES = (_TURNS, [{"role": "system", "content": "Be brief."}, *_TURNS])


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja chat template. `required_tokens` must be one special token each; `end_of_turn` is the EOS token."""

    name: str
    text: str
    required_tokens: tuple[str, ...]
    end_of_turn: str

    @property
    def sha256(self) -> str:
        """The hash that is stored with every model, and compared before a release."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def _shipped(name: str, *required_tokens: str, end_of_turn: str) -> ChatTemplate:
    text = (_FOLDER / f"{name}.jinja").read_text(encoding="utf-8")
    return ChatTemplate(name, text, (*required_tokens, end_of_turn), end_of_turn)


#: By the name that `model.chat_template` gives.
TEMPLATES = {
    template.name: template
    for template in (
        _shipped("chatml", "<|im_start|>", end_of_turn="<|im_end|>"),
        _shipped("llama3", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", end_of_turn="<|eot_id|>"),
        _shipped("mistral", "<s>", "[INST]", "[/INST]", end_of_turn="</s>"),
    )
}

#: The Jinja text of the default template.
CHATML = TEMPLATES["chatml"].text


def install(tokenizer: Any, template: ChatTemplate) -> list[str]:
    """Put a template on a tokenizer: its text, its EOS token, and a pad token that is not the EOS token.

    Returns:
        The tokens that had to be added. If there are any, the model's embeddings must be resized.
    """
    wanted = [token for token in dict.fromkeys(template.required_tokens) if not _is_control(tokenizer, token)]
    former = [tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token]
    known = tokenizer.get_vocab()
    added = [token for token in wanted if token not in known]
    tokenizer.add_tokens(wanted, special_tokens=True)
    tokenizer.eos_token = template.end_of_turn
    tokenizer.chat_template = template.text
    pad = next((token for token in former if token and token != template.end_of_turn), None)
    if pad is None:
        pad = "<|pad|>"
        added += [] if pad in known else [pad]
    tokenizer.pad_token = pad
    return added


def template_of(model_dir: Path) -> ChatTemplate:
    """Return the template that a model directory carries.

    Raises:
        InputError: if the directory has none.
    """
    file, config_file = model_dir / "chat_template.jinja", model_dir / "tokenizer_config.json"
    config = json.loads(config_file.read_text(encoding="utf-8")) if config_file.is_file() else {}
    text = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
    if not isinstance(text, str):
        raise InputError(
            f"{model_dir.name}: found neither chat_template.jinja nor a chat_template in tokenizer_config.json; "
            "train or chat with a model that `tunesmith run` has prepared"
        )
    eos = config.get("eos_token") or ""
    return describe(text, eos["content"] if isinstance(eos, dict) else str(eos))


def describe(text: str, end_of_turn: str) -> ChatTemplate:
    """Return the shipped template of that text, or one named `own` that requires its end-of-turn token alone."""
    for template in TEMPLATES.values():
        if template.text.strip() == text.strip():
            return template
    return ChatTemplate("own", text, (end_of_turn,) if end_of_turn else (), end_of_turn)


def check_template(tokenizer: Any, template: ChatTemplate) -> None:
    """Check that conversations rendered with the tokenizer train and serve as they should.

    Raises:
        InputError: if a token of the template is missing or in pieces, EOS and pad are one token, the template has
            no generation markers, is not prefix-preserving, or does not train the end-of-turn token.
    """
    _check_tokens(tokenizer, template)
    if tokenizer.chat_template != template.text:
        raise InputError(f"the tokenizer carries another chat template than {template.name!r}; install it first")
    if not has_generation_markers(template.text):
        raise InputError(
            f"chat template {template.name!r} has no {{% generation %}} markers, so nothing says which tokens are the "
            f"assistant's. Use a model whose template is known, or a base model with one of: {', '.join(TEMPLATES)}"
        )
    for probe in _PROBES:
        try:
            encoded = encode(tokenizer, probe)
        except InputError as error:
            if probe[0]["role"] == "system" and "refuses" in str(error):
                continue  # a template without a system role; such rows are then refused one by one
            raise
        _check_labels(tokenizer, template, probe, encoded.input_ids, encoded.labels)


def has_generation_markers(text: str) -> bool:
    """Return whether a template says which parts of it are the assistant's."""
    from trl.chat_template_utils import has_generation_markers as marked

    return bool(marked(text))


def _check_tokens(tokenizer: Any, template: ChatTemplate) -> None:
    for token in template.required_tokens:
        if not _is_control(tokenizer, token):
            pieces = tokenizer.tokenize(token)
            raise InputError(
                f"chat template {template.name!r} needs {token!r} as one special token, but the tokenizer splits it "
                f"into {len(pieces)} ({' '.join(pieces)}). Choose a template whose tokens the model knows, or let "
                "model.chat_template: auto add them"
            )
    if tokenizer.eos_token_id is None or tokenizer.pad_token_id is None:
        raise InputError(
            f"the tokenizer has EOS {tokenizer.eos_token!r} and pad {tokenizer.pad_token!r}; both must be set"
        )
    if tokenizer.eos_token_id == tokenizer.pad_token_id:
        raise InputError(
            f"EOS and pad are the same token, {tokenizer.eos_token!r}: with padding masked, the model would never "
            "learn to stop. Set another pad token"
        )


def _check_labels(
    tokenizer: Any, template: ChatTemplate, probe: list[dict[str, str]], input_ids: list[int], labels: list[int]
) -> None:
    """Check that each answer and its end-of-turn token train, nothing else, after the very prompt that is served."""
    trained = "".join(tokenizer.decode([i for i in labels if i != IGNORED]).split())
    expected = "".join(m["content"] + tokenizer.eos_token for m in probe if m["role"] == "assistant")
    if trained.count(tokenizer.eos_token) != 2:
        raise InputError(
            f"chat template {template.name!r} does not train its end-of-turn token {tokenizer.eos_token!r} (trained: "
            f"{trained!r}): the model would never stop. Its generation markers must enclose that token"
        )
    if not trained.endswith(expected.split(tokenizer.eos_token)[-2] + tokenizer.eos_token):
        raise InputError(f"chat template {template.name!r} trains {trained!r} where {expected!r} was expected")
    prompt = encode_prompt(tokenizer, probe[:-1])
    if input_ids[: len(prompt)] != prompt or any(label != IGNORED for label in labels[len(prompt) - 1 : len(prompt)]):
        raise InputError(
            f"chat template {template.name!r} is not prefix-preserving: prompts would differ from training"
        )


def _is_control(tokenizer: Any, token: str) -> bool:
    added = {entry.content for entry in tokenizer.added_tokens_decoder.values() if entry.special}
    return token in added and tokenizer.encode(token, add_special_tokens=False) == [
        tokenizer.convert_tokens_to_ids(token)
    ]
