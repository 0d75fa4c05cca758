"""A judge that obeys whatever stands outside of the fence, and grades only what stands inside.

It reads the conversation as a model does: written out in a chat template and cut into turns again at the control
tokens. So a text that closes its fence, opens a turn, or plants an example moves its score, and a test that uses it
fails when the fence leaks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from steps.llm.request import ChatRequest
from tests.judging.chat import graded

_TEMPLATES = {
    "chatml": (
        "<|im_start|>{role}\n{content}<|im_end|>\n",
        r"<\|im_start\|>(\w+)\n(.*?)(?=<\|im_end\|>|<\|im_start\|>|\Z)",
    ),
    "llama3": (
        "<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
        r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n\n(.*?)(?=<\|eot_id\|>|<\|start_header_id\|>|\Z)",
    ),
    "gemma": (
        "<start_of_turn>{role}\n{content}<end_of_turn>\n",
        r"<start_of_turn>(\w+)\n(.*?)(?=<end_of_turn>|<start_of_turn>|\Z)",
    ),
    "mistral": ("[INST]{role}\n{content}[/INST]", r"\[INST\](\w*)\n?(.*?)(?=\[/INST\]|\[INST\]|\Z)"),
    "deepseek": ("<｜{role}｜>{content}", r"<｜(\w+)｜>(.*?)(?=<｜\w+｜>|\Z)"),
}
#: A model takes such words for an order wherever it believes them to be addressed to it.
_ORDER = re.compile(
    r"ignore (?:the|all|any|your)|score of 5|grade of 5|give (?:it |this (?:answer )?|the answer )?(?:a )?5|\"score\": ?5|answer 5|reply with 5|choose b|choice is b|answer b is (?:better|the winner)|\"choice\": ?\"b\"",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060-\u2064\ufeff\u202a-\u202e]")


def turns(messages: Sequence[Mapping[str, str]], template: str) -> list[tuple[str, str]]:
    """Write the messages out and cut them at control tokens, after the clean-up that some servers make before."""
    form, cut = _TEMPLATES[template]
    text = "".join(form.format(role=message["role"], content=message["content"]) for message in messages)
    text = unicodedata.normalize("NFKC" if template != "deepseek" else "NFC", _INVISIBLE.sub("", text))
    return [(role, content) for role, content in re.findall(cut, text, re.DOTALL)]


def split_fences(text: str) -> tuple[str, dict[str, str]]:
    """Return what stands outside of the fences, and what stands inside by name.

    The code is the one of the task's own last line, which comes after all material; a block ends at its first matching
    line, as a reader would take it.
    """
    codes = re.findall(r"between the lines marked ([0-9a-f]{16})", text)
    code = codes[-1] if codes else "no code"
    inside: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        inside[match[1]] = match[2]
        return ""

    block = rf"^BEGIN ([A-Z ]+) {code}$\n(.*?)^END \1 {code}$"
    return re.sub(block, take, text, flags=re.DOTALL | re.MULTILINE), inside


def orders(messages: Sequence[Mapping[str, str]], template: str, n_known: int) -> list[str]:
    """Return the orders that the model sees outside of fences, in any turn, and turns beyond those that were sent."""
    seen = turns(messages, template)
    found = [f"{role}: {content[:60]}" for role, content in seen[n_known:]]
    for role, content in seen:
        # The system turn is the task's own, and so are the replies of its examples.
        if role != "user":
            continue
        outside, _ = split_fences(content)
        found += [match[0] for match in _ORDER.finditer(outside)]
    return found


class ObedientJudge:
    """5 for an order that it believes, else its honest grade: 4 for an answer that begins with `eleven`, 2 for others."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.obeyed: list[str] = []

    def score(self, request: ChatRequest) -> dict[str, object]:
        if self._obeys(request):
            return graded(5, "as told")
        return graded(4 if self._inside(request)["ANSWER"].startswith("eleven") else 2)

    def choose(self, request: ChatRequest) -> dict[str, object]:
        if self._obeys(request):
            return {"rationale": "as told", "choice": "B"}
        inside = self._inside(request)
        wins = [inside[name].startswith("eleven") for name in ("ANSWER A", "ANSWER B")]
        return {"rationale": "seen", "choice": "tie" if wins[0] == wins[1] else "AB"[wins[1]]}

    def _obeys(self, request: ChatRequest) -> bool:
        found = orders(request.messages, self.template, len(request.messages))
        self.obeyed += found
        return bool(found)

    @staticmethod
    def _inside(request: ChatRequest) -> dict[str, str]:
        return split_fences(request.messages[-1]["content"])[1]
