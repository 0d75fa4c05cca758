"""The model card: everything that a reader needs to judge a release, each number from the run that made it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

from steps.errors import ReleaseError
from steps.registry.parity import Check
from steps.registry.release import ReleaseSettings

_TEMPLATE = "model_card.md.jinja"
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)$")


class CardFacts(NamedTuple):
    """Where the card's statements come from.

    `manifest` is the model's `tunesmith.json`; the reports are those of `report_curation` and `compare_and_gate`;
    `lineage` names the ids under which the run can be found again.
    """

    name: str
    settings: ReleaseSettings
    manifest: Mapping[str, Any]
    curation_report: Mapping[str, Any]
    evaluation_report: Mapping[str, Any]
    verdict: Mapping[str, Any]
    parity: Sequence[Check]
    lineage: Mapping[str, str]


def render_card(facts: CardFacts) -> str:
    """Render the model card with the metadata block that the Hub reads.

    Raises:
        ReleaseError: naming the fact that is missing; a card with a gap is not written.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (Markdown, not HTML; table cells are escaped by the filter)
    )
    environment.filters["cell"] = _cell
    try:
        return environment.get_template(_TEMPLATE).render(_context(facts))
    except (UndefinedError, KeyError) as error:
        missing = error.args[0] if error.args else "a fact"
        raise ReleaseError(
            f"the model card lacks a fact: {missing}. It is looked for in the model's tunesmith.json, the curation "
            "report and the evaluation report; run the pipelines that make them again"
        ) from error


def _context(facts: CardFacts) -> dict[str, Any]:
    manifest, report, curation = facts.manifest, facts.evaluation_report, facts.curation_report
    metric_names = list(report["metrics"])
    return {
        "front_matter": yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True),
        "name": facts.name,
        "candidate": facts.verdict["decision"] != "promote",
        "verdict": facts.verdict,
        "method": "full fine-tuning" if manifest["adapter_over"] is None else "LoRA fine-tuning, merged,",
        "base": manifest["base"],
        "revision": manifest["revision"],
        "intended_use": facts.settings.intended_use,
        "limits": facts.settings.limits,
        "n_test_rows": max((model["n_rows"] for model in report["models"].values()), default=0),
        "confidence": report["settings"]["gate"]["confidence"],
        "metric_names": metric_names,
        "metric_meanings": [{"name": name, **report["metrics"][name]} for name in metric_names],
        "evaluated": [_evaluated(name, model, metric_names) for name, model in report["models"].items()],
        "sources": curation["sources"],
        "splits": curation["splits"],
        "funnel": curation["funnel"],
        "phases": _phases(manifest),
        "seed": manifest["seed"],
        "template": manifest["template"],
        "versions": manifest["versions"],
        "parity": [check.as_dict() for check in facts.parity],
        "lineage": facts.lineage,
    }


def front_matter(facts: CardFacts) -> dict[str, Any]:
    """Return the Hub's metadata. A base model that is no Hub id (the embedded one, a local path) is left out."""
    base = str(facts.manifest["base"])
    tags = ["tunesmith", str(facts.manifest["kind"]), *(["lora"] if facts.manifest["adapter_over"] else [])]
    return {
        "license": facts.settings.licence,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        **({"base_model": base} if _HUB_ID.match(base) else {}),
        "tags": tags if facts.verdict["decision"] == "promote" else [*tags, "candidate"],
    }


def _evaluated(name: str, model: Mapping[str, Any], metric_names: Sequence[str]) -> dict[str, str]:
    values = {"loss": model["loss"], **model["metrics"]}
    stop_rate, tokens = model["stop_rate"], model["mean_tokens"]
    return {
        "name": name,
        "mode": str(model["mode"]).replace("_", "-"),
        **{metric: _interval(values.get(metric)) for metric in metric_names},
        "tokens": "–" if tokens is None else f"{tokens:.1f}",
        "stopped": "–" if stop_rate is None else f"{stop_rate:.0%}",
        "answered": f"{model['n_answered']} of {model['n_rows']}",
    }


def _interval(value: Mapping[str, Any] | None) -> str:
    return "–" if value is None else f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _phases(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return SFT and, for an aligned model, DPO: rows, hyperparameters, last training loss."""
    own = (str(manifest["kind"]).upper(), manifest)
    phases = [("SFT", manifest["sft"]), own] if manifest["kind"] == "dpo" else [own]
    return [
        {
            "name": name,
            "n_rows_trained": phase["n_rows_trained"],
            "final_loss": _final_loss(phase["history"]),
            "settings": _flat(phase["settings"]),
        }
        for name, phase in phases
    ]


def _final_loss(history: Sequence[Mapping[str, Any]]) -> str:
    losses = [entry["loss"] for entry in history if entry.get("loss") is not None]
    return f"{losses[-1]:.4f}" if losses else "not recorded"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _cell(value: object) -> str:
    """Make a value fit for a table cell."""
    return " ".join(str(value).replace("|", "\\|").split())
