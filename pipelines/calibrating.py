"""Finds what `tunesmith calibrate` works on: the rows to label, and the verdicts to compare labels with."""

from __future__ import annotations

import hashlib
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa
from pydantic import ValidationError

from pipelines.config import RunConfig, explain, load_config
from steps.errors import ConfigError, InputError
from steps.judging.agreement import Agreement, agreement
from steps.judging.agreement_figures import AgreementSettings
from steps.judging.labels import Row, read_labels, write_rows
from steps.judging.sample import Candidate, SampleSettings, answers_of, pairs_of, ranks_of, sample_of, stratum_of
from steps.judging.saved_verdicts import Judged, judges_of, read_verdicts

if TYPE_CHECKING:
    from zenml.models import ModelVersionResponse

#: Table of schema `rows.VERDICTS` that curation leaves, of single answers, and preference building, of pairs.
_ANSWER_VERDICTS, _PAIR_VERDICTS = "judge_verdicts", "preference_verdicts"
#: Rows as the judges saw them: those which they drop are in it too.
_JUDGED_ROWS = "unique_examples"
#: Pairs, the first that there is.
_PAIRS = ("preference_dataset", "imported_preferences")
_SUFFIXES = (".csv", ".jsonl")


def write_sample(
    path: Path, overrides: Sequence[str], out: Path, *, force: bool, pairs: bool, **asked: Any
) -> dict[str, Any]:
    """Write a label file for the newest version of a config's model.

    Returns:
        `n_rows`, `n_strata` and `origin`.

    Raises:
        ConfigError: if the config or an option is wrong.
        InputError: if there is nothing to sample, or `out` exists.
    """
    if out.suffix not in _SUFFIXES:
        raise InputError(f"--out {out}: the name must end with {' or '.join(_SUFFIXES)}")
    if out.exists() and not force:
        raise InputError(f"--out {out} exists and may hold labels; name another file, or give --force")
    config = load_config(path, overrides)
    if asked["both_orders"] and not pairs:
        raise ConfigError("--both-orders is about pairs; give --pairs too")
    settings = _settings(SampleSettings, {**asked, "seed": config.seed})
    version = _version(config, _PAIRS if pairs else (_JUDGED_ROWS,))
    candidates = _pairs_in(version) if pairs else _answers_in(version)
    if not candidates:
        what = "preference pairs" if pairs else "rows that end with an answer"
        raise InputError(f"{config.name} {version.name} has no {what} to label")
    rows: list[Row] = sample_of(candidates, settings)
    write_rows(out, rows)
    chosen = {row["item_id"] for row in rows}
    strata = {stratum_of(each, settings.score_bands) for each in candidates if each.item_id in chosen}
    return {"n_rows": len(rows), "n_strata": len(strata), "origin": f"{config.name} {version.name}"}


def serve_labels(file: Path, port: int, *, open_browser: bool) -> None:
    """Serve the label page until it is interrupted.

    Raises:
        InputError: if the file is no label file, is being labelled elsewhere, or the port is taken.
    """
    from steps.judging.label_store import LabelStore
    from steps.judging.labelling import LabelServer

    with LabelStore(file) as store, LabelServer(store, port) as server:
        click.echo(f"label {file} at {server.url}\n(this machine only; Ctrl-C ends it, every label is saved at once)")
        if open_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            counts = store.progress()
            n_tasks = counts.pop("")
            for annotator, n in sorted(counts.items()):
                click.echo(f"{annotator}: {n} of {n_tasks} labelled")
            click.echo(f"then: tunesmith calibrate report {file} --config CONFIG")


def report_agreement(
    labels: Sequence[Path],
    config: Path | None,
    overrides: Sequence[str],
    saved: Sequence[Path],
    asked: Mapping[str, Any],
) -> Agreement:
    """Compare labels with the verdicts of a config's newest version, of saved outputs, or both.

    Raises:
        ConfigError: if the config or an option is wrong.
        InputError: if a file is, or verdicts and labels do not meet.
    """
    read = read_labels(labels)
    pairwise = len(read[0].texts) == 2
    chosen, judges = dict(asked), [judge for path in saved for judge in judges_of(read_verdicts(path))]
    if config is not None:
        loaded = load_config(config, overrides)
        judges += _judges_in(loaded, pairwise)
        threshold = getattr(loaded.curation.judge, "min_score", None)
        if chosen["threshold"] is None and not pairwise:
            chosen["threshold"] = threshold
    elif overrides:
        raise ConfigError("--set changes a config; give --config too")
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in labels))
    return agreement(read, judges, _settings(AgreementSettings, chosen), digest.hexdigest())


def _settings(model: Any, values: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(f"--{line.replace('_', '-')}" for line in explain(error))) from None


def _version(config: RunConfig, having: Sequence[str]) -> ModelVersionResponse:
    """Return the newest version that has one of the artifacts."""
    from pipelines.runtime import prepare_environment

    prepare_environment()
    from pipelines.versions import find_version

    for name in having:
        version = find_version(config.name, config.inputs, (name,))
        if version.get_artifact(name) is not None:
            return version
    raise InputError(
        f"no version of model {config.name} has {' or '.join(having)}; run the pipeline that makes it first (curate; "
        "for pairs a source of type preferences, or finetune with training.preferences)"
    )


def _table(version: ModelVersionResponse, name: str) -> pa.Table | None:
    artifact = version.get_artifact(name)
    return None if artifact is None else artifact.load()


def _answers_in(version: ModelVersionResponse) -> list[Candidate]:
    verdicts, rows = _table(version, _ANSWER_VERDICTS), _table(version, _JUDGED_ROWS)
    if rows is None:
        return []
    scores = {} if verdicts is None else {judge.fingerprint: judge.scores for judge in judges_of(verdicts)}
    if not scores:
        scores = _scores_without_verdicts(version)
    return answers_of(rows, ranks_of({name: found for name, found in scores.items() if found}))


def _scores_without_verdicts(version: ModelVersionResponse) -> dict[str, dict[str, float]]:
    """Return the scores of a version whose judge left no table of verdicts: of kept rows, and of dropped ones."""
    found: dict[str, float] = {}
    for name, key in (("scored_examples", "id"), ("judge_ledger", "row_id")):
        rows = _table(version, name)
        if rows is not None:
            pairs = zip(rows[key].to_pylist(), rows["score"].to_pylist(), strict=True)
            found |= {row_id: score for row_id, score in pairs if score is not None}
    return {"score": found}


def _pairs_in(version: ModelVersionResponse) -> list[Candidate]:
    found = next((rows for name in _PAIRS if (rows := _table(version, name)) is not None), None)
    return [] if found is None else pairs_of(found)


def _judges_in(config: RunConfig, pairwise: bool) -> list[Judged]:
    """Return the judges of the newest version; of pairs also who ranked them, who puts the chosen answer first."""
    if not pairwise:
        verdicts = _table(_version(config, (_ANSWER_VERDICTS,)), _ANSWER_VERDICTS)
        return [] if verdicts is None else judges_of(verdicts)
    version = _version(config, _PAIRS)
    verdicts = _table(version, _PAIR_VERDICTS)
    rankers: dict[str, Judged] = {}
    for pair in next(rows for name in _PAIRS if (rows := _table(version, name)) is not None).to_pylist():
        name = pair["ranker"]
        print_of_ranker = hashlib.sha256(f"ranker {name}".encode()).hexdigest()
        rankers.setdefault(name, Judged(f"ranker {name}", print_of_ranker)).ab[pair["id"]] = 1.0
    return [*([] if verdicts is None else judges_of(verdicts)), *rankers.values()]
