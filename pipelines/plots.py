"""The report's plots, as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

SIZE_INCHES = (5.2, 2.6)
#: A model has the same colour in every plot.
COLOURS = {
    "base": "#8795a5",
    "base_few_shot": "#c3ccd6",
    "sft": "#2563a8",
    "dpo": "#3c8a4e",
    "champion": "#c2571a",
}


def loss_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Plot the training (and, where measured, validation) loss of each model over its steps."""
    return {name: _loss_curve(history) for name, history in histories.items() if history}


def _loss_curve(history: Sequence[Mapping[str, Any]]) -> str:
    figure, axes = _figure()
    for key, label, marker in (("loss", "training", ""), ("eval_loss", "validation", "o")):
        points = [(entry["step"], entry[key]) for entry in history if entry.get(key) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker=marker, markersize=4)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    return _svg(figure)


def metric_bars(names: Sequence[str], intervals: Sequence[tuple[float, float, float]], title: str) -> str:
    """Plot one bar per model with its confidence interval; `intervals` holds (mean, low, high)."""
    figure, axes = _figure()
    for i, (mean, low, high) in enumerate(intervals):
        axes.bar(i, mean, width=0.6, color=COLOURS[names[i]])
        axes.plot([i, i], [low, high], color="#1d2733", linewidth=1.5)
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_title(title, fontsize=10, loc="left")
    return _svg(figure)


def _figure() -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes


def _svg(figure: Any) -> str:
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "tunesmith", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    return text[text.index("<svg") :]
