"""From an evaluated model to a release: check it, write its card, assemble it, push it when it was promoted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from steps.errors import ReleaseError
from steps.evaluation.rows import behaviour_hash
from steps.registry.model_card import CardFacts, render_card
from steps.registry.parity import check_parity
from steps.registry.push import PushResult, push, token_of
from steps.registry.release import MANIFEST, ReleaseSettings, assemble


class Published(NamedTuple):
    """The release's directory, its model card, and where it was pushed to (None when it was not)."""

    path: Path
    card: str
    pushed: PushResult | None


def publish(
    model: Path,
    base_model: Path,
    evaluation_report: Mapping[str, Any],
    verdict: Mapping[str, Any],
    curation_report: Mapping[str, Any],
    settings: ReleaseSettings,
    name: str,
    lineage: Mapping[str, str],
    output: Path,
) -> Published:
    """Release a model that the gate promoted; write any other as a marked candidate, which is never pushed.

    Args:
        model: The trained model.
        base_model: The base that it was trained from.
        evaluation_report: Of `compare_and_gate`.
        verdict: Of `compare_and_gate`, about this very model.
        curation_report: Of `report_curation`.
        settings: Licence, intended use, limits, Hub.
        name: Name of the model.
        lineage: Ids for the model card, e.g. of the run.
        output: Where the release shall stand.

    Raises:
        ReleaseError: if the verdict is about another model, a check fails, or the push does.
    """
    sha256 = behaviour_hash(model)
    if verdict["model_sha256"] not in (None, sha256):
        raise ReleaseError(
            f"the verdict is about model {verdict['model_sha256'][:12]} ({verdict['candidate']}), not about the model "
            f"to be released, {sha256[:12]}; set gate.candidate to the model that training ends with, or evaluate again"
        )
    promoted = verdict["decision"] == "promote"
    if promoted and settings.hub is not None:
        token_of(settings.hub)  # before the work, not after it
    manifest = _manifest(model)
    ids = {**lineage, "model files": sha256, "base model files": behaviour_hash(base_model)}

    def card_of(staged: Path) -> str:
        parity = check_parity(model, staged, base_model, manifest.get("adapter_over"))
        return render_card(
            CardFacts(name, settings, manifest, curation_report, evaluation_report, verdict, parity, ids)
        )

    facts = {"name": name, "candidate": not promoted, "verdict": dict(verdict), "lineage": ids}
    path = assemble(model, card_of, output, facts)
    pushed = push(path, settings.hub) if promoted and settings.hub is not None else None
    return Published(path, (path / "README.md").read_text(encoding="utf-8"), pushed)


def lineage_of(release: Path, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a registered model version says of itself: base, template, files, evidence, the version it beat."""
    manifest = _manifest(release)
    difference = verdict["difference"] or {}
    return {
        "base_model": manifest["base"],
        "kind": manifest["kind"],
        "template_sha256": manifest["template"]["sha256"],
        "model_sha256": verdict["model_sha256"],
        "verdict": verdict["decision"],
        "metric": verdict["metric"],
        "improvement": difference.get("mean", 0.0),
        "improvement_low": difference.get("low", 0.0),
        "improvement_high": difference.get("high", 0.0),
        "n_test_rows": verdict["n"],
        "champion_before": verdict["champion_version"],
    }


def _manifest(model: Path) -> dict[str, Any]:
    file = model / MANIFEST
    if not file.is_file():
        raise ReleaseError(f"{model} has no {MANIFEST}; only a model that Tunesmith trained can be released")
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return manifest
