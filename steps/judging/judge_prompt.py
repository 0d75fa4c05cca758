"""What every prompt file of a judge holds, and how the graded texts get into it: fenced, once, and with no way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Template

from pydantic import model_validator

from steps.judging.verdict import Unscored
from steps.llm.fencing import fence, neutralise
from steps.settings import Settings


class JudgePrompt(Settings):
    """The parts of a prompt that a rubric and a pairwise prompt share."""

    name: str
    """Name of the prompt, with its version."""
    system: str
    """What the judge is told of its task, its scale and the fence."""
    reply_format: str = ""
    """What a chat model is told of its reply's form; appended to `system`. A decision model replies in no form."""
    question: str | None = None
    """What a decision model is asked about the graded texts; none: this prompt is for chat models only."""
    template: str
    """The user turn, with `$prompt`, the graded texts and `$fence`; `$reference_block`, a paragraph of its own, stands
    for `reference_template`, or for nothing where there is no reference."""
    reference_template: str = ""
    """How a reference is shown, with `$reference` and `$fence`; empty: this prompt takes none."""
    needs_reference: bool = False
    """Whether an item without a reference stays unscored (`no_reference`)."""

    @model_validator(mode="after")
    def _takes_the_reference(self) -> JudgePrompt:
        if bool(self.reference_template) != ("$reference_block\n\n" in self.template):
            raise ValueError("reference_template and a paragraph $reference_block in template go together")
        if self.reference_template and not {"$reference", "$fence"} <= _places(self.reference_template):
            raise ValueError("reference_template lacks $reference or $fence")
        if self.needs_reference and not self.reference_template:
            raise ValueError("needs_reference, yet there is no reference_template")
        return self

    def told(self, with_reply_format: bool, **shown: str) -> str:
        """Return the system turn with its places filled, and the reply's form for a chat model."""
        parts = [self.system.strip(), self.reply_format.strip() if with_reply_format else ""]
        return Template("\n\n".join(part for part in parts if part)).safe_substitute(shown)

    def ungradable(self, texts: Sequence[str], reference: str | None) -> tuple[Unscored, str] | None:
        """Say why such texts cannot be judged by this prompt, or None."""
        if not all(text.strip() for text in texts):
            return Unscored.NO_ANSWER, "an answer is blank"
        if self.needs_reference and reference is None:
            return Unscored.NO_REFERENCE, f"{self.name} compares with a reference, and there is none"
        return None

    def user_turn(
        self,
        item_id: str,
        prompt: Sequence[Mapping[str, str]],
        texts: Mapping[str, str],
        reference: str | None,
        seed: int,
    ) -> str:
        """Write the turn that holds the texts.

        Args:
            item_id: Id of what is graded; with the texts it decides the fence.
            prompt: The turns before the answer.
            texts: The graded texts by their placeholder, e.g. `answer`.
            reference: Shown where the prompt takes one.
            seed: Changes every fence.
        """
        filled = {name: neutralise(text) for name, text in {"prompt": conversation(prompt), **texts}.items()}
        block = ""
        if reference is not None and self.reference_template:
            filled["reference"] = neutralise(reference)
            block = self.reference_template.strip()
        code = fence(item_id, tuple(filled.values()), seed)
        # The block first, as it is ours; then all texts in one pass: a `$fence` inside of one stays what it is.
        template = self.template.replace("$reference_block\n\n", f"{block}\n\n" if block else "")
        return Template(template).safe_substitute(filled, fence=code).strip()


def check_places(text: str, wanted: set[str], allowed: set[str]) -> None:
    """Check the placeholders of a template.

    Raises:
        ValueError: if one is missing, or is none that will be filled.
    """
    found = _places(text)
    if missing := sorted(wanted - found):
        raise ValueError(f"lacks {', '.join(missing)}")
    if unknown := sorted(found - wanted - allowed):
        raise ValueError(f"{', '.join(unknown)} is filled by nothing; write $$ for a dollar sign")


def described(levels: Mapping[int, str] | Mapping[str, str]) -> str:
    """Return one line per level, criterion or choice."""
    return "\n".join(f"{key} = {meaning.strip()}" for key, meaning in levels.items())


def conversation(prompt: Sequence[Mapping[str, str]]) -> str:
    """Return the turns as one text: a lone question as it is, else with the roles."""
    if len(prompt) == 1 and prompt[0]["role"] == "user":
        return prompt[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt)


def _places(text: str) -> set[str]:
    return {f"${name}" for name in Template(text).get_identifiers()}
