"""What is asked of the generating model, how often, and what becomes of its pairs."""

from __future__ import annotations

from typing import get_args

from pydantic import Field, field_validator, model_validator

from steps.errors import TunesmithError
from steps.llm.budget import BudgetSettings
from steps.llm.models import Model
from steps.settings import Settings
from steps.synthesis.chunks import ChunkSettings
from steps.synthesis.people import load_personas, load_seeds
from steps.synthesis.prompts import DEFAULT_PROMPTS, GenerationKind, LoadedPrompt, Operation, PromptKind, load_prompt


class EvolutionSettings(Settings):
    """How pairs are made harder, after Evol-Instruct (Xu et al. 2023, WizardLM, arXiv:2304.12244, section 3)."""

    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the grounded pairs that are evolved; the others stay as they are, and so do the parents."""
    operations: tuple[Operation, ...] = Field(default=get_args(Operation), min_length=1)
    """Drawn evenly: `constrain`, `deepen`, `concretise`, `reason` and `broaden` (another request of the same chunk)."""
    rounds: int = Field(default=1, ge=1, le=4)
    """How often a pair is evolved in a row. WizardLM took four; each round is as many requests again."""


class GroundingJudgeSettings(Settings):
    """A model that checks every claim of what passed the check of words, numbers and names."""

    model: Model
    prompt: str = DEFAULT_PROMPTS["ground"]
    """A bundled prompt of kind `ground`, or the path of a YAML file of the same form."""
    max_unjudged_fraction: float = Field(default=0.05, ge=0, le=1)
    """Share of pairs without a usable verdict above which the run stops. Such pairs are dropped."""

    @field_validator("prompt")
    @classmethod
    def _exists(cls, value: str) -> str:
        return _checked(value, "ground")


class GroundingSettings(Settings):
    """When an answer counts as supported by its chunk."""

    min_score: float = Field(default=0.4, ge=0, le=1)
    """Least share of a claim's content words that its chunk holds, the mean of anywhere and within three sentences.
    Measured in benchmarks/results/grounding.md."""
    max_unsupported_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of an answer's claims that may lack support; 0: a single one drops the pair."""
    check_numbers: bool = True
    """Whether a number of the answer must stand in the chunk, with the same unit."""
    check_names: bool = True
    """Whether a proper name or identifier of the answer must stand in the chunk."""
    check_negations: bool = True
    """Whether a claim must not deny what a sentence of the chunk says in the same words, or say what it denies."""
    judge: GroundingJudgeSettings | None = None
    """A model as second opinion on what passed; none asks none."""
    max_drop_fraction: float = Field(default=0.6, ge=0, le=1)
    """Share of generated pairs above which the run stops."""


class GenerationSettings(Settings):
    """Instruction pairs that a language model writes from the documents."""

    model: Model
    """The generating model."""
    budget: BudgetSettings = BudgetSettings()
    """What generation, evolution and the grounding judge may spend together."""
    kinds: dict[GenerationKind, float] = Field(
        default={
            "question_answering": 4.0,
            "summary": 1.0,
            "extraction": 1.0,
            "multi_turn": 1.0,
            "reasoning": 2.0,
            "code": 1.0,
        },
        min_length=1,
    )
    """Weight of each kind of pair; 0 leaves it out. `code` is asked only of chunks that hold code."""
    prompts: dict[PromptKind, str] = Field(default={})
    """Prompts in the place of the bundled ones: by kind, the path of a YAML file of the same form."""
    chunks: ChunkSettings = ChunkSettings()
    pairs_per_chunk: int = Field(default=3, ge=1, le=50)
    """Pairs that are asked of one chunk, over all kinds."""
    max_pairs_per_document: int | None = Field(default=30, ge=1)
    """Pairs that are asked of one document; a longer one is asked of chunks spread evenly over it. None: no bound."""
    personas: str | None = "personas_v1"
    """Who asks, for diversity (Ge et al. 2024, Persona Hub, arXiv:2406.20094): the bundled list, or the path of a YAML
    file of the same form; one is drawn for each request. None: nobody in particular."""
    few_shot_path: str | None = None
    """JSONL of your own pairs, one `{"instruction": …, "answer": …}` a line, with `"kind"` where an example is meant
    for one kind alone: the tone and form that is wanted."""
    few_shot: int = Field(default=3, ge=1, le=10)
    """Examples drawn from `few_shot_path` for each request."""
    temperature: float | None = Field(default=0.7, ge=0, le=2)
    """Sampling temperature; none takes the model's own setting."""
    max_reply_tokens: int | None = Field(default=None, ge=1)
    """Longest reply in tokens; none takes the model's `max_tokens`."""
    evolve: EvolutionSettings | None = None
    """Make pairs harder with further requests; none does not."""
    revise: bool = False
    """Whether an answer without support is sent back once to be corrected, with what lacks support."""
    ground: GroundingSettings | None = GroundingSettings()
    """The check that each claim of an answer is supported by its chunk; none keeps whatever was written."""
    max_ungenerated_fraction: float = Field(default=0.1, ge=0, le=1)
    """Share of requests without a usable reply above which the run stops."""
    seed: int = Field(default=7, ge=0)
    """Seed of kinds, personas, examples and fences."""

    @field_validator("kinds")
    @classmethod
    def _some_kind_has_weight(cls, value: dict[GenerationKind, float]) -> dict[GenerationKind, float]:
        if any(weight < 0 for weight in value.values()) or not any(value.values()):
            raise ValueError(f"weights must be 0 or more and one of them above 0, found {value}")
        return value

    @field_validator("prompts")
    @classmethod
    def _prompts_exist(cls, value: dict[PromptKind, str]) -> dict[PromptKind, str]:
        for kind, name in value.items():
            _checked(name, kind)
        return value

    @model_validator(mode="after")
    def _files_are_usable(self) -> GenerationSettings:
        if self.revise and self.ground is None:
            raise ValueError("revise=true corrects what grounding found; set ground, or revise: false")
        try:
            load_personas(self.personas)
            load_seeds(self.few_shot_path)
        except TunesmithError as error:
            raise ValueError(str(error)) from None
        return self

    def prompt(self, kind: PromptKind) -> LoadedPrompt:
        """Load the prompt of a kind."""
        return load_prompt(self.prompts.get(kind, DEFAULT_PROMPTS[kind]), kind)

    def judge_prompt(self) -> LoadedPrompt:
        """Load the prompt of the grounding judge."""
        named = self.ground.judge.prompt if self.ground and self.ground.judge else DEFAULT_PROMPTS["ground"]
        return load_prompt(named, "ground")

    @property
    def files(self) -> list[str]:
        """Files of the user's that decide the result: prompts, personas, examples."""
        judge = self.ground.judge.prompt if self.ground and self.ground.judge else None
        named = [*self.prompts.values(), self.personas, self.few_shot_path, judge]
        return [name for name in named if name is not None and name.endswith((".yaml", ".yml", ".jsonl", ".json"))]

    @property
    def reply_tokens(self) -> int:
        """Longest reply in tokens."""
        return self.max_reply_tokens or self.model.max_tokens


def _checked(name: str, kind: PromptKind) -> str:
    try:
        load_prompt(name, kind)
    except TunesmithError as error:
        raise ValueError(str(error)) from None
    return name
