"""Proof that what is released is what was trained: the same tokens, the same logits, the same greedy answers.

A wrong chat template is not seen in any file listing, and a bad merge answers fluently. Both are measured here, on
conversations that are chosen to break them, and the table goes into the model card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from steps.chat.model import context_length, load, load_tokenizer, quiet
from steps.chat.render import control_tokens, encode_prompt
from steps.errors import InputError, ReleaseError

Messages = Sequence[Mapping[str, str]]

#: Largest difference of a logit between the merged model and base + adapter, as a share of the largest logit. Merging
#: rounds every weight once, to 24, 11 or 8 bits.
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}

#: Length of the greedy answers that are compared.
N_GREEDY_TOKENS = 16


class Check(NamedTuple):
    """One line of the table. `passed` None means that it could not be asked of this model; `detail` says why."""

    name: str
    passed: bool | None
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return the check as plain values."""
        return dict(self._asdict())


def probes() -> dict[str, list[dict[str, str]]]:
    """Return conversations that tend to break a chat template, by what they try."""

    def turns(*contents: str, system: str | None = None) -> list[dict[str, str]]:
        head = [] if system is None else [{"role": "system", "content": system}]
        return head + [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]

    return {
        "one question": turns("What is a pump?"),
        "system turn": turns("What is a pump?", system="Answer in one sentence."),
        "many turns": turns("Hello", "Hello! What can I do?", "Count to two.", "1, 2", "And three?"),
        "outer whitespace": turns("  indented, with trailing spaces   \n\n"),
        "unicode": turns("Grüße 👩‍🔬 — naïve 漢字 عربى e\u0301"),
        "code": turns("```python\n\tprint('a\\n')\n```\n{% raw %}{{ x }}"),
        "template-like text": turns("### Instruction:\n[INST] <<SYS>> Human: Assistant: "),
        "one character": turns("?"),
    }


def check_parity(model_dir: Path, release: Path, base_dir: Path, adapter_over: str | None) -> list[Check]:
    """Check a release against the model that was trained.

    Args:
        model_dir: The trained model.
        release: The assembled release.
        base_dir: The base model.
        adapter_over: What the adapter belongs on: `base`, `sft`, or None when there is no adapter.

    Returns:
        All checks, each passed or with the reason why it does not apply.

    Raises:
        ReleaseError: if one failed.
    """
    checks = [*check_tokens(model_dir, release), check_control_text(release)]
    checks += check_adapter(release, base_dir, adapter_over)
    failed = [f"{check.name}: {check.detail}" for check in checks if check.passed is False]
    if failed:
        raise ReleaseError(
            f"the release is not the model that was trained. {'; '.join(failed)}. Nothing was released; train again "
            "with this version, or report this with the model's architecture"
        )
    return checks


def check_tokens(model_dir: Path, release: Path) -> list[Check]:
    """Compare the tokens that training and evaluation gave the model with those that plain transformers renders."""
    ours, theirs = load_tokenizer(model_dir), load_tokenizer(release)
    checks = []
    for name, messages in probes().items():
        title = f"same tokens: {name}"
        try:
            expected = encode_prompt(ours, messages)
        except InputError as error:
            checks.append(Check(title, None, str(error)))
            continue
        found = theirs.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=False)
        checks.append(Check(title, found == expected, _compared(expected, found)))
    return checks


def check_control_text(release: Path) -> Check:
    """Check that a user who writes a control token gets the tokens of its characters in our own rendering."""
    tokenizer = load_tokenizer(release)
    title = "text cannot forge a turn (`tunesmith chat`)"
    plain = encode_prompt(tokenizer, [{"role": "user", "content": "x"}])
    written = "".join(control_tokens(tokenizer))
    special = set(tokenizer.all_special_ids) | {tokenizer.convert_tokens_to_ids(t) for t in control_tokens(tokenizer)}
    try:
        forged = encode_prompt(tokenizer, [{"role": "user", "content": f"x{written}"}])
    except InputError as error:
        return Check(title, True, f"refused: {error}")
    extra = sum(token in special for token in forged) - sum(token in special for token in plain)
    return Check(title, extra == 0, f"{extra} control tokens from text; plain `apply_chat_template` has no such guard")


def check_adapter(release: Path, base_dir: Path, adapter_over: str | None) -> list[Check]:
    """Compare logits and greedy answers of the merged model with base + adapter."""
    titles = ("merged logits = base + adapter", f"same {N_GREEDY_TOKENS} greedy tokens as base + adapter")
    if adapter_over != "base":
        why = "no adapter: all weights were trained" if adapter_over is None else "the adapter belongs on the SFT model"
        return [Check(title, None, why) for title in titles]
    import torch
    from peft import PeftModel

    merged, below = load(release), load(base_dir)
    with quiet():
        adapted = PeftModel.from_pretrained(below.model, release / "adapter").eval()
    prompts = _prompts(merged)
    with torch.inference_mode():
        pairs = [(merged.model(input_ids=ids).logits, adapted(input_ids=ids).logits) for ids in prompts]
        scale = max(1.0, *(float(a.float().abs().max()) for a, _ in pairs))
        difference = max(float((a.float() - b.float()).abs().max()) for a, b in pairs) / scale
        greedy = [[_greedy(model, ids) for ids in prompts] for model in (merged.model, adapted)]
    dtype = str(merged.model.dtype).removeprefix("torch.")
    bound = TOLERANCE.get(dtype, TOLERANCE["bfloat16"])
    n_same = sum(a == b for a, b in zip(*greedy, strict=True))
    # In half precision two nearly equal logits may change places; the count is told, and only exactness is asked.
    same: bool | None = n_same == len(prompts)
    if not same and dtype != "float32":
        same = None
    return [
        Check(titles[0], difference <= bound, f"differ by {difference:.1e} of the largest logit, bound {bound:g}"),
        Check(titles[1], same, f"{n_same} of {len(prompts)} prompts, {dtype}"),
    ]


def _prompts(loaded: Any) -> list[Any]:
    import torch

    found = []
    for messages in probes().values():
        try:
            ids = encode_prompt(loaded.tokenizer, messages)
        except InputError:  # a template without a system role; `check_tokens` tells it
            continue
        if len(ids) + N_GREEDY_TOKENS <= context_length(loaded.model):
            found.append(torch.tensor([ids], device=loaded.model.device))
    if not found:
        raise ReleaseError("no probe fits the model's template and context, so the release cannot be checked")
    return found


def _greedy(model: Any, ids: Any) -> list[int]:
    """Decode greedily without any generation config, which merged and adapted model might not share."""
    import torch

    for _ in range(N_GREEDY_TOKENS):
        token = model(input_ids=ids).logits[0, -1].argmax()
        ids = torch.cat([ids, token.view(1, 1)], dim=1)
    tokens: list[int] = ids[0, -N_GREEDY_TOKENS:].tolist()
    return tokens


def _compared(expected: list[int], found: list[int]) -> str:
    if found == expected:
        return f"{len(expected)} tokens"
    at = next((i for i, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(expected), len(found)) if at is None else at
    return f"{len(expected)} tokens trained, {len(found)} rendered, first difference at {at}"
