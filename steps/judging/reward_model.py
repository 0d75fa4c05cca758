"""A reward model: a sequence classifier that turns a conversation into one number."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator

from steps.errors import InputError
from steps.judging.devices import device_of
from steps.judging.judge_settings import BaseJudgeSettings
from steps.judging.verdict import Item, Unscored, Verdict
from steps.llm.fencing import neutralise
from steps.llm.request import Reply
from steps.progress import track

#: Tokenizers without a limit of their own say 10^30.
_NO_LIMIT = 10**9


class RewardModelSettings(BaseJudgeSettings):
    """A sequence classifier with one output, and a tokenizer that has a chat template."""

    type: Literal["reward_model"]
    model: str = Field(min_length=1)
    """Folder or Hub id of the model."""
    family: str | None = None
    """Whose model it is (`llama`, `qwen`, …); none derives it from the name."""
    scale: tuple[float, float] | None = None
    """Lowest and highest raw score that the model is known to give; a score beyond it is `out_of_scale`. None squashes
    the raw score by the logistic function into [0, 1]."""
    device: str = "auto"
    """`auto` takes a GPU where there is one; else a torch device such as `cpu`."""
    batch_size: int = Field(default=8, ge=1)
    """Conversations that are scored at once."""
    max_length_tokens: int | None = Field(default=None, ge=16)
    """Longest conversation in tokens; none takes the model's own limit. A longer one stays unscored (`too_long`): a
    truncated one would be scored for an answer that nobody gave."""

    @field_validator("scale")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError("the lowest score comes first, e.g. [-10, 10]")
        return value

    @property
    def default_name(self) -> str:
        """`reward_model:<model>`."""
        return f"reward_model:{self.model}"

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """As stated, or that of the logistic function."""
        return self.scale or (0.0, 1.0)

    @property
    def model_family(self) -> tuple[str, str | None]:
        """Model and family as configured."""
        return self.model, self.family


class _Loaded(NamedTuple):
    """The model, where it runs, and the longest conversation that it reads."""

    network: Any
    tokenizer: Any
    device: str
    limit: int


class RewardModelJudge:
    """Scores conversations with one forward pass each, in batches of similar length."""

    def __init__(self, settings: RewardModelSettings) -> None:
        self._settings = settings
        self._model: _Loaded | None = None
        self.name = settings.judge_name
        self.scale = settings.scale_bounds
        self.report: dict[str, Any] = {}
        decisive = [settings.type, settings.model, settings.scale, _weights_of(settings.model)]
        self.fingerprint = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()

    def score(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict per item, in order. Which items share a batch depends on lengths and ids alone."""
        found = {i: self._blank(item) for i, item in enumerate(items) if not item.answer.strip()}
        ids: dict[int, list[int]] = {}
        for i, item in enumerate(items):
            if i not in found:
                tokens = self._tokens(item)
                if isinstance(tokens, Verdict):
                    found[i] = tokens
                else:
                    ids[i] = tokens
        ordered = sorted(ids, key=lambda i: (len(ids[i]), items[i].item_id))
        size = self._settings.batch_size
        for at in track(range(0, len(ordered), size), "Scoring with the reward model"):
            batch = ordered[at : at + size]
            started = time.monotonic()
            logits = _forward(self._loaded, [ids[i] for i in batch])
            seconds = (time.monotonic() - started) / len(batch)
            for i, logit in zip(batch, logits, strict=True):
                found[i] = self._of_logit(items[i], logit, len(ids[i]), seconds)
        return [found[i] for i in range(len(items))]

    @property
    def _loaded(self) -> _Loaded:
        if self._model is None:
            self._model = _load(self._settings)
        return self._model

    def _blank(self, item: Item) -> Verdict:
        return self._verdict(item, unscored_reason=Unscored.NO_ANSWER, detail="the answer is blank")

    def _tokens(self, item: Item) -> list[int] | Verdict:
        """Return the whole conversation in the model's own template, as tokens, never cut; or why that cannot be."""
        from jinja2 import TemplateError

        # A control token in the answer could end its turn and begin a better one.
        turns = [*item.prompt, {"role": "assistant", "content": item.answer}]
        conversation = [{"role": turn["role"], "content": neutralise(turn["content"])} for turn in turns]
        tokenizer = self._loaded.tokenizer
        try:
            text = tokenizer.apply_chat_template(conversation, tokenize=False)
        except TemplateError as error:
            detail = f"the chat template of {self._settings.model} refuses the conversation: {error}"
            return self._verdict(item, unscored_reason=Unscored.NOT_RENDERABLE, detail=detail)
        ids: list[int] = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        if len(ids) > self._loaded.limit:
            detail = f"{len(ids)} tokens, and {self._settings.model} reads {self._loaded.limit}"
            return self._verdict(item, unscored_reason=Unscored.TOO_LONG, detail=detail)
        return ids

    def _of_logit(self, item: Item, logit: float, n_tokens: int, latency_s: float) -> Verdict:
        raw = json.dumps({"logit": logit})
        reply = Reply(raw, self._settings.model, n_tokens, 0, 0.0, latency_s, 1, False, None)
        if not math.isfinite(logit):
            detail = f"the model's output is {logit}"
            return self._verdict(item, reply=reply, unscored_reason=Unscored.OUT_OF_SCALE, detail=detail)
        if self._settings.scale is None:
            return self._verdict(item, reply=reply, score=_logistic(logit), detail=f"logit {logit:.4g}")
        low, high = self._settings.scale
        if not low <= logit <= high:
            detail = f"logit {logit:.4g} is beyond scale [{low:g}, {high:g}]; state the scale that the model has"
            return self._verdict(item, reply=reply, unscored_reason=Unscored.OUT_OF_SCALE, detail=detail)
        return self._verdict(item, reply=reply, score=logit)

    def _verdict(self, item: Item, **found: Any) -> Verdict:
        return Verdict(item.item_id, self.name, self.fingerprint, **{"score": None, **found})


def _load(settings: RewardModelSettings) -> _Loaded:
    """Load the model and check that it is a reward model.

    Raises:
        InputError: if it cannot be loaded, has not exactly one output, no chat template, or no limit is known.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.model)
        network, found = AutoModelForSequenceClassification.from_pretrained(settings.model, output_loading_info=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"reward model {settings.model!r} cannot be loaded ({error}); name a local folder or a reachable Hub id"
        ) from None
    if network.config.num_labels != 1 or found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])) or "none"
        raise InputError(
            f"reward model {settings.model!r} has {network.config.num_labels} outputs and lacks the weights {missing}; "
            "a reward model is a sequence classifier with one trained output (num_labels=1)"
        )
    if not tokenizer.chat_template:
        raise InputError(
            f"the tokenizer of reward model {settings.model!r} has no chat template, so that it is unknown how the "
            "model was shown conversations; add the template of its training to the folder"
        )
    limits = (settings.max_length_tokens, getattr(network.config, "max_position_embeddings", None))
    known = [limit for limit in (*limits, tokenizer.model_max_length) if limit is not None and limit < _NO_LIMIT]
    if not known:
        raise InputError(f"reward model {settings.model!r} states no longest input; set max_length_tokens")
    device = device_of(settings.device)
    return _Loaded(network.to(device).eval(), tokenizer, device, min(known))


def _forward(loaded: _Loaded, rows: Sequence[Sequence[int]]) -> list[float]:
    import torch

    longest = max(map(len, rows))
    config = loaded.network.config.get_text_config()
    trained_with = config.pad_token_id
    # Decoders score the last token that is no padding, found by this id. A model that was trained without one scores
    # the very last token, which padding with the end-of-text token would hide: any id that does not occur serves.
    pad = trained_with if trained_with is not None else next(i for i in count() if all(i not in row for row in rows))
    config.pad_token_id = pad
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=loaded.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=loaded.device)
    with torch.inference_mode():
        logits = loaded.network(input_ids=ids, attention_mask=mask).logits
    config.pad_token_id = trained_with
    found: list[float] = logits[:, 0].float().tolist()
    return found


def _logistic(logit: float) -> float:
    """Squash without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    return math.exp(logit) / (1.0 + math.exp(logit))


def _weights_of(model: str) -> list[tuple[str, str]]:
    """Return name and SHA-256 of a local folder's files: another checkpoint at the same place is another judge."""
    folder = Path(model)
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.suffix in {".safetensors", ".json", ".jinja", ".bin"})
    return [(path.name, _sha256_of(path)) for path in files]


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
