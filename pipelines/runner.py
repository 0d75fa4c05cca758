"""Runs one config: validate, start, narrate, collect, report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pipelines.config import RunConfig, load_config
from pipelines.preflight import check_config, source_lines, sources_hash_of
from pipelines.runtime import narrated, prepare_environment
from pipelines.versions import artifact_ids, champion_of, find_version, previous_splits_of, version_name
from steps.errors import DropLimitError, GateRefusedError

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse


class Outcome(NamedTuple):
    """What `tunesmith run` hands to the command line."""

    summary: dict[str, Any]
    folder: Path
    refused: GateRefusedError | None


def run_config(path: Path, overrides: Sequence[str] = (), *, use_cache: bool = True) -> Outcome:
    """Validate the config whole, run its pipeline, write `outputs/<run>/`.

    Raises:
        TunesmithError: of the kind that says what went wrong.
    """
    config = load_config(path, overrides)
    prepare_environment()
    _write_corpus(config)
    check_config(config)
    started_at = time.monotonic()
    run_name = f"{config.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path(config.output_dir, run_name)
    click.echo(f"{run_name}: {config.pipeline}, stack {_active_stack(config)}", err=True)
    try:
        run = _submit(config, run_name, use_cache)
    except DropLimitError as error:
        raise _with_ledger_saved(error, folder) from error
    from pipelines.results import collect, write_results

    results = collect(run, config, time.monotonic() - started_at)
    write_results(results, folder)
    click.echo(results.table(folder), err=True)
    return Outcome(results.summary, folder, _refusal(results.summary, folder))


def plan_config(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Validate a config and say what a run would read and make."""
    config = load_config(path, overrides)
    prepare_environment()
    _write_corpus(config)
    inventory = check_config(config)
    if "sources" in inventory:
        inventory["sources"] = source_lines(config)
    version, _ = _arguments(config)
    champion = champion_of(config.name, version)
    return {
        "pipeline": config.pipeline,
        "model": config.name,
        "version": version,
        "champion": champion.version if champion else "none",
        "stack": _active_stack(config),
        "quantity": _quantity(config),
        **inventory,
        **_asks(config),
    }


def _quantity(config: RunConfig) -> str:
    """Say how many training rows the task usually takes, and how many the newest curated version has."""
    from zenml.client import Client

    from steps.mixing.guidance import advise, parameters_named, parameters_of, said, task_of

    base = Path(config.model.base)
    n_parameters = parameters_of(base) if base.is_dir() else parameters_named(config.model.base)
    task = config.curation.task_type
    if Client().list_models(name=config.name, size=1).items:
        report = find_version(config.name, "latest", ("curation_report",)).get_artifact("curation_report")
        if report is not None:
            found = report.load()["guidance"]
            if found["unit"] == "rows" and task in {None, found["task"]}:
                return said(advise(found["task"], n_parameters or found["n_parameters"], found["have"]))
    return said(advise(task or task_of(["imported"]), n_parameters))


def _asks(config: RunConfig) -> dict[str, list[str]]:
    """Say what models would be asked, and at what cost; nothing where no model is asked."""
    from pipelines.estimates import estimates_of
    from pipelines.estimating import said

    lines = said(estimates_of(config))
    return {"asks": lines} if lines else {}


def _write_corpus(config: RunConfig) -> None:
    if config.corpus is not None:
        from steps.extraction.corpus import write_corpus

        write_corpus(config.corpus)


def _active_stack(config: RunConfig) -> str:
    from zenml.client import Client

    if config.stack.name:
        Client().activate_stack(config.stack.name)
    return str(Client().active_stack_model.name)


def _submit(config: RunConfig, run_name: str, use_cache: bool) -> PipelineRunResponse:
    """Run the pipeline in this process (local stack) and return the finished run."""
    from zenml import Model
    from zenml.client import Client

    version, arguments = _arguments(config)
    model = Model(name=config.name, version=version, tags=["tunesmith"])
    built = _pipeline(config.pipeline).with_options(run_name=run_name, enable_cache=use_cache, model=model)
    with narrated():
        built(config=config, **arguments)
    return Client().get_pipeline_run(run_name)


#: What each partial pipeline takes from an earlier model version; the second list may be missing there.
INPUTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "finetune": (("base_model", "sft_dataset", "imported_preferences", "curation_report"), ()),
    "evaluate": (("base_model", "sft_dataset", "sft_model"), ("dpo_model",)),
    "release": (("base_model", "curation_report", "sft_model", "evaluation_report", "verdict"), ("dpo_model",)),
}


def _arguments(config: RunConfig) -> tuple[str, dict[str, Any]]:
    """Return the model version that the run works on, and the arguments of its pipeline."""
    arguments: dict[str, Any] = {}
    if config.pipeline in INPUTS:
        required, optional = INPUTS[config.pipeline]
        version = find_version(config.name, config.inputs, required)
        arguments["inputs"] = artifact_ids(version, *required, optional=optional)
        name = version.name
    else:
        arguments["sources_hash"] = sources_hash_of(config)
        name = version_name(config, arguments["sources_hash"])
        arguments["previous_splits"] = previous_splits_of(config, name)
    if config.pipeline in {"evaluate", "retrain"}:
        arguments["champion"] = list(champion_of(config.name, name) or ())
    return name, arguments


def _pipeline(name: str) -> Any:
    """Import only the pipeline that runs."""
    import importlib

    return getattr(importlib.import_module(f"pipelines.{name}"), name)


def _with_ledger_saved(error: DropLimitError, folder: Path) -> DropLimitError:
    """Keep the decisions that stopped the run: a failed step has no artifacts."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{error.ledger['stage'][0].as_py()}_ledger.parquet"
    pq.write_table(error.ledger, file)
    return DropLimitError(f"{error} Every decision stands in {file}.", error.ledger)


def _refusal(summary: dict[str, Any], folder: Path) -> GateRefusedError | None:
    """Return why the candidate was refused; a candidate that *is* the model in production asks for nothing."""
    verdict = summary.get("verdict")
    if verdict is None or verdict["decision"] == "promote":
        return None
    champion = summary["models"].get("champion")
    if champion is not None and champion["model_sha256"] == verdict["model_sha256"]:
        return None
    return GateRefusedError(
        f"{verdict['decision']}: {verdict['reason']} The model stays a candidate; the evidence stands in "
        f"{folder / 'report.html'}."
    )
