"""Prompts of generation: what a model is told about a chunk, and the JSON that it must reply. One YAML file each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from steps.errors import ConfigError
from steps.llm.fencing import fence, neutralise
from steps.llm.prompt_files import load_prompt_file
from steps.settings import Settings

BUNDLED = Path(__file__).parent / "prompts"

GenerationKind = Literal["question_answering", "summary", "extraction", "multi_turn", "reasoning", "code"]
Operation = Literal["constrain", "deepen", "concretise", "reason", "broaden"]
PromptKind = GenerationKind | Literal["evolve", "revise", "ground"]
Form = Literal["pairs", "conversations", "pair", "answer", "verdicts"]

#: The bundled file of each kind.
DEFAULT_PROMPTS: Mapping[PromptKind, str] = {
    "question_answering": "question_answering_v1",
    "summary": "summary_v1",
    "extraction": "extraction_v1",
    "multi_turn": "multi_turn_v1",
    "reasoning": "reasoning_v1",
    "code": "code_v1",
    "evolve": "evolve_v1",
    "revise": "revise_v1",
    "ground": "ground_v1",
}
_TEXT = {"type": "string"}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


#: JSON schema of the reply of each form. In a verdict the evidence comes first, so that the decision follows from it.
SCHEMAS: Mapping[Form, dict[str, Any]] = {
    "pairs": _object(pairs=_array(_object(instruction=_TEXT, answer=_TEXT))),
    "conversations": _object(conversations=_array(_object(turns=_array(_object(user=_TEXT, assistant=_TEXT))))),
    "pair": _object(instruction=_TEXT, answer=_TEXT),
    "answer": _object(answer=_TEXT),
    "verdicts": _object(
        verdicts=_array(_object(claim={"type": "integer"}, evidence=_TEXT, supported={"type": "boolean"}))
    ),
}
#: What the template of each form must mention besides the fence and the chunk.
_NEEDS: Mapping[Form, tuple[str, ...]] = {
    "pairs": ("$n_pairs",),
    "conversations": ("$n_pairs",),
    "pair": ("$instruction", "$answer", "$operation"),
    "answer": ("$instruction", "$answer"),
    "verdicts": ("$claims",),
}
#: What comes from documents and models, and must never stand outside of a fence.
_MATERIAL = ("$chunk", "$headings", "$instruction", "$answer", "$claims")


class SynthesisPrompt(Settings):
    """The content of a prompt file."""

    name: str = Field(min_length=1)
    """Name of the prompt, with its version."""
    kind: PromptKind
    """What it makes."""
    form: Form
    """The JSON of the reply: `pairs` of instruction and answer, `conversations` of turns, one `pair`, one `answer`, or
    `verdicts` on claims."""
    with_text: bool = False
    """Whether the chunk is put behind the instruction of each row, as a task on a text needs it."""
    tokens_per_pair: int = Field(ge=1)
    """Tokens that a reply usually takes for one pair, or for the verdict on one answer; for estimates."""
    system: str = Field(min_length=1)
    """What the model is told."""
    template: str
    """The user turn, with `$fence`, `$chunk` and what the form needs; `$headings`, `$persona`, `$examples` may stand
    there."""
    persona: str = ""
    """The line about who asks, with `$persona`; left out where nobody was drawn."""
    examples: str = ""
    """The block around the examples, with `$examples`; left out where there are none."""
    operations: dict[Operation, str] = Field(default={})
    """Of `evolve`: what is asked of each operation."""

    @field_validator("template")
    @classmethod
    def _fences_the_texts(cls, value: str) -> str:
        if "$chunk" not in value:
            raise ValueError("must hold $chunk")
        inside = False
        for line in map(str.strip, value.splitlines()):
            if line.startswith(("BEGIN ", "END ")) and line.endswith("$fence"):
                inside = line.startswith("BEGIN ")
            elif not inside and (loose := [name for name in _MATERIAL if name in line]):
                raise ValueError(f"must put {loose[0]} between a line `BEGIN … $fence` and a line `END … $fence`")
        return value

    @model_validator(mode="after")
    def _holds_what_the_form_needs(self) -> SynthesisPrompt:
        missing = [name for name in _NEEDS[self.form] if name not in self.template]
        if missing:
            raise ValueError(f"template lacks {', '.join(missing)}, which form {self.form} needs")
        if (self.kind == "evolve") != bool(self.operations):
            raise ValueError("operations belong to kind evolve, which needs at least one")
        return self

    @property
    def reply_schema(self) -> dict[str, Any]:
        """JSON schema of the reply."""
        return SCHEMAS[self.form]


class LoadedPrompt(NamedTuple):
    """A prompt and the SHA-256 of its file."""

    prompt: SynthesisPrompt
    sha256: str


class Shown(NamedTuple):
    """What a prompt shows of one unit of work; all of it is other people's text but `n_pairs`."""

    chunk: str
    headings: Sequence[str] = ()
    n_pairs: int = 1
    persona: str | None = None
    examples: Sequence[Mapping[str, str]] = ()
    instruction: str = ""
    answer: str = ""
    claims: Sequence[str] = ()
    operation: Operation | None = None


def load_prompt(name_or_path: str, kind: PromptKind) -> LoadedPrompt:
    """Load a bundled prompt by name, or one of your own by the path of its YAML file.

    Raises:
        ConfigError: if there is no such prompt, or the file is none of this kind.
    """
    loaded = LoadedPrompt(*load_prompt_file(SynthesisPrompt, "prompt", name_or_path, BUNDLED))
    if loaded.prompt.kind != kind:
        raise ConfigError(
            f"prompt {name_or_path!r} is of kind {loaded.prompt.kind}, but is named for {kind}; name one of that kind, "
            f"e.g. {DEFAULT_PROMPTS[kind]}"
        )
    return loaded


def fence_of(unit_id: str, shown: Shown, seed: int) -> str:
    """Return the code of the lines around the material of a unit; none of its texts holds it."""
    examples = [text for example in shown.examples for text in example.values()]
    texts = [shown.chunk, *shown.headings, *examples, shown.instruction, shown.answer, *shown.claims]
    return fence(unit_id, [*texts, shown.persona or ""], seed)


def render(prompt: SynthesisPrompt, unit_id: str, shown: Shown, seed: int) -> list[dict[str, str]]:
    """Write the messages of one request.

    Args:
        prompt: What to tell the model.
        unit_id: Id of the unit; the fence derives from it.
        shown: Its texts. They are substituted in one pass, so that a `$fence` within them stays what it is.
        seed: Changes every fence.
    """
    code = fence_of(unit_id, shown, seed)
    persona = Template(prompt.persona).safe_substitute(persona=neutralise(shown.persona or "")) if shown.persona else ""
    examples = "\n".join(json.dumps(dict(one), ensure_ascii=False) for one in shown.examples)
    block = Template(prompt.examples).safe_substitute(examples=neutralise(examples), fence=code) if examples else ""
    operation = prompt.operations[shown.operation] if shown.operation else ""
    content = Template(prompt.template).safe_substitute(
        fence=code,
        headings=neutralise(" > ".join(shown.headings)),
        chunk=neutralise(shown.chunk),
        n_pairs=shown.n_pairs,
        persona=persona.strip(),
        examples=block.strip(),
        operation=Template(operation).safe_substitute(fence=code).strip(),
        instruction=neutralise(shown.instruction),
        answer=neutralise(shown.answer),
        claims=neutralise("\n".join(f"{number}. {claim}" for number, claim in enumerate(shown.claims, start=1))),
    )
    return [{"role": "system", "content": prompt.system.strip()}, {"role": "user", "content": content.strip()}]
