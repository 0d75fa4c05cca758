"""The page of `benchmarks.agreement`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.machine import sentence


def render(record: dict[str, Any]) -> str:
    """Render the record as Markdown."""
    return "\n".join([*_head(record), *_llmbar(record["llmbar"]), *_people(record["people"])]) + "\n"


def _head(record: dict[str, Any]) -> list[str]:
    return [
        "# Agreement of judges and juries with people",
        "",
        "By `python -m benchmarks.agreement`, on the saved outputs of judges and the labels of people; no model was",
        f"asked. {sentence(record['machine'])}. Intervals are 95 %: Wilson for shares, else bootstrap over items.",
        "*Agreement* is the share of the pairs with a winner that a judge decides as people do; a tie of its own (or",
        "two orders that contradict each other) counts half.",
        "",
    ]


def _llmbar(found: dict[str, Any]) -> list[str]:
    report = found["plain"]
    return [
        f"## LLMBar, natural subset: {report['n_items']} pairs",
        "",
        *_table(
            ("judge, plain prompt", "agreement", "κ", "decided alike in both orders", "same winner in both orders",
             "first shown wins", "longer wins (people)", "agrees if longer / shorter is better"),
            [_judge_row(judge) for judge in report["judges"]],
        ),
        "All prompts:",
        "",
        *_table(
            ("judge", "agreement", "κ", "same winner in both orders", "first shown wins", "≥ 0.8"),
            [
                (one["judge"], _interval(one["agreement"]), _number(one["kappa"]), _number(one["consistent"]),
                 _number(one["first_wins"]), "yes" if one["passes"] else "no")
                for one in found["prompts"]
            ],
        ),
        "## Juries on the same pairs",
        "",
        "*Cross-validated*: each pair is decided with weights (and a best member) from the other pairs' labels. *From"
        f" {found['juries'][0]['holdout']['n_learned']}*: learned from so many labels, measured on the rest, mean of "
        f"{found['juries'][0]['holdout']['n_draws']} draws.",
        "",
        *_table(
            ("jury", "members alone", "majority", "best, cross-validated", "weighted, cross-validated", "best from 50",
             "weighted from 50", "weights"),
            [_jury_row(jury) for jury in found["juries"]],
        ),
    ]  # fmt: skip


def _judge_row(judge: dict[str, Any]) -> tuple[str, ...]:
    length, position = judge["length"], judge["position"]
    better = (length["agreement_if_longer_is_better"], length["agreement_if_shorter_is_better"])
    return (
        judge["judge"],
        _interval(judge["agreement"]),
        _interval(judge["kappa"]),
        _number(judge["exact"]),
        _number(position["consistent"]),
        _interval(position["first_wins"]),
        f"{_number(length['judge_longer_wins'])} ({_number(length['people_longer_wins'])})",
        " / ".join(map(_number, better)),
    )


def _jury_row(jury: dict[str, Any]) -> tuple[str, ...]:
    crossed, held = jury["cross_validated"], jury["holdout"]
    return (
        jury["jury"],
        ", ".join(f"{one['agreement']:.3f}" for one in jury["members"]),
        f"{jury['majority_of_all']:.3f}",
        f"{crossed['best']['value']:.3f}",
        _interval(crossed["weighted"]),
        f"{held['best']:.3f}",
        f"{held['weighted']:.3f}",
        ", ".join(f"{one['weight']:.2f}" for one in crossed["weights"]),
    )


def _people(found: dict[str, Any]) -> list[str]:
    minded, ignored, accepted = (found[name] for name in ("order_minded", "order_ignored", "acceptable"))
    rows = [
        (
            name,
            _interval(report["people"]["ceiling"]),
            _interval(report["people"]["alpha"]["nominal"]),
            _interval(report["people"]["fleiss_kappa"]),
        )
        for name, report in (
            ("preference, sides put back in place", minded),
            ("preference, display order ignored (wrong)", ignored),
            ("acceptable or not", accepted),
        )
    ]
    (longer,) = minded["judges"]
    return [
        f"## People: {found['n_annotations']:,} annotations by {found['n_annotators']}",
        "",
        f"{found['n_doubly']} pairs have two annotations, {found['n_in_opposite_orders']} of them with the answers in"
        " opposite places. *Ceiling*: how far one person agrees with the majority of the others.",
        "",
        *_table(("question", "ceiling", "Krippendorff's α, nominal", "Fleiss' κ"), rows),
        f"The longer answer wins {_interval(longer['length']['people_longer_wins'])} of the pairs with a winner: a"
        " judge that only counts characters has that agreement with people. Of people's decided looks, the answer shown"
        f" as A wins {_interval(minded['people']['position']['first_wins'])}.",
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]


def _number(estimate: dict[str, Any]) -> str:
    return "–" if estimate["value"] is None else f"{estimate['value']:.3f}"


def _interval(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "–"
    return f"{estimate['value']:.3f} ({estimate['low']:.2f}–{estimate['high']:.2f})"
