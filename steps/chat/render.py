"""From a conversation to tokens and labels: the one rendering that training, evaluation, chat and export share.

Two things that a plain `apply_chat_template` does not guarantee hold here:

* The answer is tokenised apart from the prompt, so the tokens before it are exactly those of `encode_prompt`, even
  for an answer that begins with a newline, which would otherwise merge with the newline of the turn's header.
* Text never becomes a control token. A user who writes `<|im_end|>` gets the tokens of those ten characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from steps.errors import InputError

#: The label that the loss ignores (`torch.nn.CrossEntropyLoss(ignore_index=-100)`).
IGNORED = -100

ROLES = ("system", "user", "assistant")

#: Unicode noncharacters: they never occur in text that is meant for interchange.
_BREAKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]

Message = Mapping[str, str]


class Encoded(NamedTuple):
    """One conversation as tokens. `labels` is -100 except on the assistant's text and its end-of-turn token."""

    input_ids: list[int]
    labels: list[int]


class Rendered(NamedTuple):
    """A conversation as text, the character spans that train, and the points where it is cut before tokenising."""

    text: str
    spans: list[tuple[int, int]]
    cuts: list[int]


def encode(tokenizer: Any, messages: Sequence[Message]) -> Encoded:
    """Tokenise a whole conversation with labels.

    Args:
        tokenizer: A fast tokenizer whose chat template has generation markers (see `steps.chat.template`).
        messages: `role` and `content` of each turn.

    Raises:
        InputError: if the template refuses the conversation, or its text cannot be kept apart from control tokens.
    """
    rendered = render(tokenizer, messages)
    if _keeps_text_when_cut(tokenizer):
        return _encode_pieces(tokenizer, rendered)
    return _encode_whole(tokenizer, rendered)


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Tokenise a conversation up to where the assistant begins to speak.

    Raises:
        InputError: as `encode`.
    """
    rendered = render(tokenizer, messages, add_generation_prompt=True)
    if _keeps_text_when_cut(tokenizer):
        return _encode_pieces(tokenizer, rendered).input_ids
    return _encode_whole(tokenizer, rendered).input_ids


def render(tokenizer: Any, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> Rendered:
    """Render a conversation to text.

    Raises:
        InputError: if a role is unknown, the template refuses the conversation or is not prefix-preserving for it.
    """
    for message in messages:
        if message["role"] not in ROLES:
            raise InputError(f"a message has the role {message['role']!r}; expected one of {', '.join(ROLES)}")
    guarded, mark = _guard(tokenizer, messages)
    text, spans = _apply(tokenizer, guarded, add_generation_prompt)
    if spans or not add_generation_prompt:
        # A prompt trains nothing: there a template off the shelf, without generation markers, will do.
        spans = _clip_spans(tokenizer, guarded, text, spans)
    cuts = sorted({point for span in spans for point in span})
    return _without_marks(text, spans, cuts, mark) if mark else Rendered(text, spans, cuts)


def control_tokens(tokenizer: Any) -> list[str]:
    """Return the texts that the tokenizer turns into special tokens, longest first."""
    special = {added.content for added in tokenizer.added_tokens_decoder.values() if added.special}
    return sorted(special, key=lambda token: (-len(token), token))


def _guard(tokenizer: Any, messages: Sequence[Message]) -> tuple[list[dict[str, str]], str | None]:
    """Break every control token that stands in the text with a mark after its first character."""
    plain = [dict(message) for message in messages]
    controls = control_tokens(tokenizer)
    if not any(control in message["content"] for message in plain for control in controls):
        return plain, None
    mark = next((m for m in _BREAKS if not any(m in message["content"] for message in plain)), None)
    single = next((c for c in controls if len(c) < 2 and any(c in m["content"] for m in plain)), None)
    if mark is None or single is not None or not _keeps_text_when_cut(tokenizer):
        raise InputError("the text contains a control token of the template, which this tokenizer cannot spell out")
    pattern = re.compile("|".join(map(re.escape, controls)))
    for message in plain:
        message["content"] = pattern.sub(lambda match: match[0][0] + mark + match[0][1:], message["content"])
    return plain, mark


def _without_marks(text: str, spans: list[tuple[int, int]], cuts: list[int], mark: str) -> Rendered:
    """Take the marks out of the text and cut there instead."""
    marks = [match.start() for match in re.finditer(mark, text)]

    def moved(point: int) -> int:
        return point - sum(at < point for at in marks)

    points = {moved(point) for point in [*cuts, *marks]}
    return Rendered(text.replace(mark, ""), [(moved(a), moved(b)) for a, b in spans], sorted(points))


def _apply(tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool) -> tuple[str, list[Any]]:
    from jinja2.exceptions import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    template = tokenizer.chat_template
    if not isinstance(template, str):
        raise InputError("the tokenizer has no chat template; prepare the model with steps.training.base first")
    try:
        texts, spans = render_jinja_template(
            conversations=[list(messages)],
            chat_template=template,
            return_assistant_tokens_mask=True,
            add_generation_prompt=add_generation_prompt,
            **tokenizer.special_tokens_map,
        )
    except (TemplateError, TypeError) as error:
        raise InputError(f"the chat template refuses a conversation: {error}") from error
    return texts[0], spans[0]


def _clip_spans(
    tokenizer: Any, messages: Sequence[Message], text: str, spans: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Let each span begin where the model begins to speak, and end with its end-of-turn token.

    Patched templates of third parties put the newlines around an answer inside their markers.
    """
    turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    if len(turns) != len(spans):
        raise InputError(f"the chat template marks {len(spans)} trained spans for {len(turns)} assistant turns")
    clipped = []
    for turn, (start, end) in zip(turns, spans, strict=True):
        prompt, _ = _apply(tokenizer, messages[:turn], add_generation_prompt=True)
        if not text.startswith(prompt):
            raise InputError(
                f"the chat template is not prefix-preserving: it renders what precedes turn {turn} differently "
                "once the turn is there, so a model trained with it would be prompted with other tokens"
            )
        stop = text.rfind(tokenizer.eos_token, start, end) if tokenizer.eos_token else -1
        clipped.append((max(start, len(prompt)), end if stop < 0 else stop + len(tokenizer.eos_token)))
    return clipped


def _encode_pieces(tokenizer: Any, rendered: Rendered) -> Encoded:
    input_ids: list[int] = []
    labels: list[int] = []
    bounds = [0, *rendered.cuts, len(rendered.text)]
    for start, end in pairwise(bounds):
        ids = tokenizer.encode(rendered.text[start:end], add_special_tokens=False) if end > start else []
        trained = any(a <= start and end <= b for a, b in rendered.spans)
        input_ids += ids
        labels += ids if trained else [IGNORED] * len(ids)
    return Encoded(input_ids, labels)


def _encode_whole(tokenizer: Any, rendered: Rendered) -> Encoded:
    """Tokenise at once, for a tokenizer that puts a space before each text; a token is trained by where it ends."""
    coded = tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)
    trained = [any(a < end <= b for a, b in rendered.spans) and end > start for start, end in coded["offset_mapping"]]
    ids = coded["input_ids"]
    return Encoded(ids, [token if yes else IGNORED for token, yes in zip(ids, trained, strict=True)])


def _keeps_text_when_cut(tokenizer: Any) -> bool:
    return _round_trips(tokenizer.backend_tokenizer.to_str())


@lru_cache(maxsize=8)
def _round_trips(serialized: str) -> bool:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(serialized)
    pieces = ("a\n", "b c", "|d|>", " e")
    ids = [i for piece in pieces for i in tokenizer.encode(piece, add_special_tokens=False).ids]
    return bool(tokenizer.decode(ids, skip_special_tokens=False) == "".join(pieces))
