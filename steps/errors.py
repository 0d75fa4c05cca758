"""Every error that Tunesmith raises on purpose, in one hierarchy.

    TunesmithError                exit code 1
    ├── ConfigError               2   the config file is wrong; nothing was started
    ├── InputError                2   a file, row or model that the config names cannot be used
    ├── LedgerError               1   a stage lost or invented a row: a defect in Tunesmith
    ├── DropLimitError            1   a stage dropped more than its max_drop_fraction
    ├── EndpointError             1   a model endpoint refused, or answered nonsense for good
    │   └── BudgetExceededError   1   the next request could cost more than max_cost_usd allows
    ├── TrainingError             1   a trainer could not start, or diverged
    ├── EvaluationError           1   a model could not be evaluated honestly
    ├── ReleaseError              1   a release could not be written, registered or pushed
    └── GateRefusedError             3   the evidence does not support promotion

A message says what was found, what was expected, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa


class TunesmithError(Exception):
    """Base of all expected failures; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1


class ConfigError(TunesmithError):
    """The configuration is wrong: an unknown key, a value out of bounds, options that exclude each other."""

    exit_code = 2


class InputError(TunesmithError):
    """Something that the configuration names is missing, unreadable or not what it claims to be."""

    exit_code = 2


class LedgerError(TunesmithError):
    """A stage's books do not balance: `n_in != n_kept + n_dropped`, or a row it never received."""


class DropLimitError(TunesmithError):
    """A stage dropped a larger share of its rows than its `max_drop_fraction` allows.

    The stage's `ledger` travels with the error, so that the decisions which stopped the run can be read.
    """

    def __init__(self, message: str, ledger: pa.Table) -> None:
        super().__init__(message)
        self.ledger = ledger


class EndpointError(TunesmithError):
    """A model endpoint cannot be used."""


class BudgetExceededError(EndpointError):
    """Sending the next request could exceed the configured budget."""


class TrainingError(TunesmithError):
    """Training cannot start or cannot go on."""


class EvaluationError(TunesmithError):
    """An evaluation would not be valid."""


class ReleaseError(TunesmithError):
    """A release could not be written, registered or pushed."""


class GateRefusedError(TunesmithError):
    """The gate did not promote the candidate; it stays a candidate."""

    exit_code = 3
