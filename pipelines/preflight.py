"""Everything that can be known before a run is checked before it starts."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipelines.config import RunConfig
from pipelines.estimating import models_in
from steps.cache_folder import cache_folder
from steps.dedup.index import read_index
from steps.engines.settings import check_engine
from steps.errors import ConfigError, InputError, ReleaseError
from steps.extraction.inventory import FETCHED, open_cache, source_facts
from steps.extraction.sources import check_sources, fingerprint, hash_paths
from steps.llm.endpoint import EndpointSettings, api_key
from steps.registry.push import token_of
from steps.splitting.benchmarks import benchmark_files
from steps.training.base import TINY, check_model
from steps.training.options import require_hardware


def check_config(config: RunConfig) -> dict[str, Any]:
    """Check what the config names against the world, and return an inventory of the inputs.

    Raises:
        ConfigError: for options that exclude each other or that this machine cannot do.
        InputError: for files, models or a stack that are not what the config says.
    """
    inventory: dict[str, Any] = {}
    if config.pipeline in {"curate", "retrain"}:
        check_sources_of(config)
        check_engine(config.curation.engine)
        benchmark_files(config.curation.decontaminate)
        _check_index(config)
        inventory["sources"] = [f"{source.name} ({source.type})" for source in config.sources]
    if config.pipeline in {"curate", "finetune", "retrain"}:
        _check_model(config)
    if config.pipeline in {"finetune", "retrain"}:
        _check_training(config)
    if config.pipeline in {"evaluate", "retrain"}:
        _check_gate(config)
    _check_endpoints(config)
    _check_stack(config)
    return inventory


def check_sources_of(config: RunConfig) -> None:
    """Check that there are sources, and that each holds something to read.

    Raises:
        ConfigError: if the config names none.
        InputError: for one that cannot be read.
    """
    if not config.sources:
        raise ConfigError(f"sources is empty, but pipeline: {config.pipeline} reads from it; name at least one")
    check_sources(config.sources)


def sources_hash_of(config: RunConfig) -> str:
    """Return the content hash of all files that the run reads: sources, benchmarks, index, a tiny base model's text."""
    text_path = config.model.tiny.text_path
    curation = config.curation
    others = [
        *benchmark_files(curation.decontaminate),
        *curation.dedup.index_paths,
        *([text_path] if text_path else []),
    ]
    return fingerprint(config.sources, cache_folder() / FETCHED) + hash_paths(others)


def source_lines(config: RunConfig) -> list[str]:
    """Return one line per source: what it holds, and how much of it was extracted before."""
    lines = []
    with open_cache(cache_folder(), config.curation.extract) as cache:
        for source in config.sources:
            facts = source_facts(source, cache, cache_folder() / FETCHED)
            lines.append(f"{source.name} ({source.type}{f': {facts}' if facts is not None else ''})")
    return lines


def _check_index(config: RunConfig) -> None:
    minhash = config.curation.dedup.minhash
    if minhash is not None and minhash.index_path is not None:
        read_index(minhash.index_path, minhash)


def _check_model(config: RunConfig) -> None:
    """Check that the base model can be had, and that the chat template fits its tokenizer."""
    model = config.model
    if model.base == TINY:
        if model.tiny.text_path is not None and not Path(model.tiny.text_path).exists():
            raise InputError(f"model.tiny.text_path={model.tiny.text_path} does not exist; name a folder or JSONL file")
        return
    check_model(model)


def _check_training(config: RunConfig) -> None:
    training = config.training
    if (training.dpo is None) != (training.preferences is None):
        raise ConfigError(
            "training.dpo and training.preferences belong together: set both, or both to null to stop after SFT"
        )
    if config.stack.gpu_step_operator is None:
        require_hardware(training.sft, "training.sft")
        if training.dpo is not None:
            require_hardware(training.dpo, "training.dpo")


def _check_endpoints(config: RunConfig) -> None:
    """Check that every key that an endpoint or the Hub will ask for is there, before any work is done."""
    asking: list[BaseModel] = []
    if config.pipeline in {"curate", "retrain"}:
        asking += [config.curation.synthesise, config.curation.judge]
    if config.pipeline in {"finetune", "retrain"} and config.training.preferences is not None:
        asking.append(config.training.preferences)
    for model in chain.from_iterable(map(models_in, asking)):
        if isinstance(model, EndpointSettings):
            api_key(model)
    if config.release.hub is not None and config.pipeline in {"release", "retrain"}:
        try:
            token_of(config.release.hub)
        except ReleaseError as error:
            raise ConfigError(str(error)) from None


def _check_gate(config: RunConfig) -> None:
    """Check that the gate can be decided: its metric is measured, its candidate trained."""
    measured = (*config.evaluation.metrics, "loss")
    if config.gate.metric not in measured:
        raise ConfigError(
            f"gate.metric={config.gate.metric} is not among the measured metrics ({', '.join(measured)}); "
            "add it to evaluation.metrics or choose one of these"
        )
    if config.gate.candidate == "dpo" and config.training.dpo is None:
        raise ConfigError("gate.candidate=dpo, but training.dpo is null; set gate.candidate: auto")


def _check_stack(config: RunConfig) -> None:
    from zenml.client import Client

    client = Client()
    names = [stack.name for stack in client.list_stacks(size=200).items]
    if config.stack.name is not None and config.stack.name not in names:
        raise InputError(f"stack.name={config.stack.name} is not registered; registered stacks: {', '.join(names)}")
    operator = config.stack.gpu_step_operator
    if operator is None:
        return
    stack = client.get_stack(config.stack.name) if config.stack.name else client.active_stack_model
    operators = [found.name for kind, each in stack.components.items() if kind == "step_operator" for found in each]
    if operator not in operators:
        raise InputError(
            f"stack.gpu_step_operator={operator} is not part of stack {stack.name}, whose step operators are: "
            f"{', '.join(operators) or 'none'}; add it with `zenml stack update {stack.name} -s {operator}`"
        )
