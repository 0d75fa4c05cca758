"""Warnings about the judges that rank answers."""

from __future__ import annotations

from collections.abc import Sequence

from steps.judging.families import same_family
from steps.judging.verdict import Verdict
from steps.preference.calibrated import agreement_warnings
from steps.preference.revised import RevisionSettings
from steps.preference.sampled_settings import SampledSettings


def warnings_of(sampled: SampledSettings, revision: RevisionSettings | None, verdicts: Sequence[Verdict]) -> list[str]:
    """Say which judges grade answers of their own family, and which are not known to agree with people."""
    judges = [*sampled.judges, *([sampled.pairwise] if sampled.pairwise else [])]
    others = [revision, *sampled.others]
    names = {verdict.fingerprint: verdict.judge for verdict in verdicts}
    return [
        *same_family(judges, [(one.model.model, one.model.family) for one in others if one is not None]),
        *agreement_warnings(names, sampled.calibration_path, sampled.min_agreement),
    ]
