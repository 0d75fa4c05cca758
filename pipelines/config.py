"""One YAML file is one run: `RunConfig` composes the settings of every stage and is validated whole.

Nothing is ignored: an unknown key anywhere is an error that names it and suggests the nearest known one.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from steps.dedup.clusters import DedupSettings
from steps.engines.settings import EngineSettings
from steps.errors import ConfigError
from steps.evaluation.evaluate import EvaluationSettings
from steps.evaluation.gate import GateSettings
from steps.extraction.corpus import CorpusSettings
from steps.extraction.sources import ExtractionSettings, Source
from steps.filtering.rules import FilteringSettings
from steps.judging.judge import JudgingSettings
from steps.llm.models import Model, Named, PriceSettings
from steps.mixing.guidance import TaskType
from steps.mixing.settings import MixSettings
from steps.preference.build import PreferenceSettings
from steps.registry.release import ReleaseSettings
from steps.settings import Settings
from steps.splitting.decontamination_settings import DecontaminationSettings
from steps.splitting.split import SplitSettings
from steps.synthesis.synthesise import SynthesisSettings
from steps.training.base import ModelSettings
from steps.training.dpo import DPOSettings
from steps.training.sft import SFTSettings
from steps.training.tracking import TrackingSettings

PipelineName = Literal["curate", "finetune", "evaluate", "release", "retrain"]


class CurationSettings(Settings):
    """From raw files to a split data set."""

    engine: EngineSettings = EngineSettings()
    """Where filters and duplicate search run: `local`, `daft`, or the settings of one of them. Rows are the same."""
    extract: ExtractionSettings = ExtractionSettings()
    synthesise: SynthesisSettings = SynthesisSettings()
    filter: FilteringSettings = FilteringSettings()
    dedup: DedupSettings = DedupSettings()
    judge: JudgingSettings = JudgingSettings()
    split: SplitSettings = SplitSettings()
    decontaminate: DecontaminationSettings = DecontaminationSettings()
    mix: MixSettings | None = None
    """Which training rows are read, and how often; none reads all, once."""
    task_type: TaskType | None = None
    """What the model shall learn, for the guidance on quantities; none guesses it from the rows' kinds."""


class TrainingSettings(Settings):
    """Supervised fine-tuning, then preference alignment."""

    sft: SFTSettings = SFTSettings()
    preferences: PreferenceSettings | None = PreferenceSettings()
    """How chosen / rejected pairs are found; none skips alignment."""
    dpo: DPOSettings | None = DPOSettings()
    """None stops after SFT."""


class StackSettings(Settings):
    """Where the run executes."""

    name: str | None = None
    """ZenML stack; none means the active one."""
    gpu_step_operator: str | None = None
    """Step operator of that stack for the training steps; none runs them where the pipeline runs."""


class RunConfig(Settings):
    """Everything that one run needs."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Name of the ZenML Model that the run makes a version of: lower case letters, digits, dashes."""
    pipeline: PipelineName = "retrain"
    """`retrain` is the whole way; the others are its parts and take what they need from an earlier version."""
    seed: int = Field(default=7, ge=0)
    """Seeds every stage that has no seed of its own in the file."""
    output_dir: str = "outputs"
    """Folder for reports and releases, relative to the working directory."""
    inputs: str = "latest"
    """Model version (name, number or stage) whose artifacts `finetune`, `evaluate` and `release` start from; `latest`
    is the newest that has them."""
    corpus: CorpusSettings | None = None
    """The embedded sample corpus, written before the run if it is not there."""
    sources: tuple[Annotated[Source, Field(discriminator="type")], ...] = ()
    """Documents, data sets and preference data."""
    endpoints: dict[str, Model] = Field(default_factory=dict)
    """Models that are asked, by a name of your own: wherever a stage takes a model, it takes such a name too."""
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    """Prices by model name, for all models that do not state their own."""
    curation: CurationSettings = CurationSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    release: ReleaseSettings = ReleaseSettings()
    tracking: TrackingSettings = TrackingSettings()
    stack: StackSettings = StackSettings()

    @property
    def settings_hash(self) -> str:
        """Hash of all that decides the result; where it runs and where reports go does not."""
        where: Any = {
            **dict.fromkeys(("output_dir", "stack", "tracking", "inputs", "endpoints", "prices"), True),
            "curation": {"engine": True},
        }
        decisive = self.model_dump_json(exclude=where)
        return hashlib.sha256(decisive.encode()).hexdigest()


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a YAML file, apply `a.b=c` overrides, validate the whole.

    Raises:
        ConfigError: naming the file, the key and the nearest known key.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; configs/quickstart.yaml is the embedded example") from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds {type(raw).__name__}, not a mapping of keys such as name, sources, model")
    for override in overrides:
        _override(raw, override)
    _spread_seed(raw, RunConfig, raw.get("seed", RunConfig.model_fields["seed"].default))
    try:
        return RunConfig.model_validate(raw, context=_named(raw))
    except ValidationError as error:
        raise ConfigError(f"{path}:\n" + "\n".join(f"  {line}" for line in explain(error))) from None


def _named(raw: Mapping[str, Any]) -> Named:
    """Return what the file names once; of a wrong type it is empty here, and refused when the whole is validated."""
    found = (raw.get(key) for key in Named._fields)
    return Named(*(value if isinstance(value, Mapping) else {} for value in found))


def _override(raw: dict[str, Any], override: str) -> None:
    """Set `a.b=c` in place; the value is YAML, and an integer part indexes a list."""
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override!r} is not of the form key.subkey=value, e.g. training.sft.epochs=2")
    *parents, last = key.split(".")
    node: Any = raw
    for part in parents:
        node = _child(node, part, key)
    if isinstance(node, list):
        node[_index(node, last, key)] = yaml.safe_load(value)
    elif isinstance(node, dict):
        node[last] = yaml.safe_load(value)
    else:
        raise ConfigError(f"--set {key}: {'.'.join(parents)} is a value, not a mapping")


def _child(node: Any, part: str, key: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, key)]
    if not isinstance(node, dict):
        raise ConfigError(f"--set {key}: {part!r} stands below a value, not a mapping")
    if node.get(part) is None:
        node[part] = {}
    return node[part]


def _index(node: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise ConfigError(f"--set {key}: {part!r} is not one of the list's indices 0 to {len(node) - 1}")
    return int(part)


def _spread_seed(raw: Any, model: type[BaseModel], seed: Any) -> None:
    """Give the run's seed to every settings block that has a `seed` and does not set it, also to absent blocks."""
    if not isinstance(raw, dict):
        return
    if "seed" in model.model_fields:
        raw.setdefault("seed", seed)
    for name, field in model.model_fields.items():
        inner = _settings_in(field.annotation)
        if inner is None or (name in raw and raw[name] is None):
            continue
        if name not in raw and field.default is None:
            continue
        if _has_seed(inner):
            _spread_seed(raw.setdefault(name, {}), inner, seed)


def _has_seed(model: type[BaseModel]) -> bool:
    inner = (_settings_in(field.annotation) for field in model.model_fields.values())
    return "seed" in model.model_fields or any(_has_seed(child) for child in inner if child is not None)


def _settings_in(annotation: Any) -> type[BaseModel] | None:
    """Return the settings class of a field typed `X` or `X | None`, else None."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def explain(error: ValidationError) -> list[str]:
    """Turn pydantic's errors into one line each: the key, what was found, what is allowed."""
    return [_explain_one(entry) for entry in error.errors()]


def _explain_one(entry: Mapping[str, Any]) -> str:
    path = entry["loc"]  # behind a list index stands the tag of the union's member, which is not a key
    location = [part for i, part in enumerate(path) if not (i and isinstance(path[i - 1], int))]
    key = ".".join(str(part) for part in location)
    if entry["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        nearest = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(known)}"
        return f"unknown key {key}: {hint}"
    if entry["type"] == "missing":
        return f"missing key {key}"
    found = entry["input"]
    shown = "" if isinstance(found, dict | list) else f"={found!r}"
    return f"{key}{shown}: {entry['msg'].removeprefix('Value error, ')}"


def _known_keys(location: Sequence[Any]) -> list[str]:
    """Return the keys allowed at a place of the config."""
    models: list[type[BaseModel]] = [RunConfig]
    for part in location:
        if isinstance(part, int):
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [found for field in fields for found in _models_in(field.annotation)]
    return sorted({name for model in models for name in model.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return every settings class inside a type, unions, tuples and Annotated included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]
