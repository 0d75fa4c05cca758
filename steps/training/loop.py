"""Running a TRL trainer: quietly, with progress, without touching the global random state, and not past a NaN."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from steps.errors import TrainingError
from steps.progress import Bar, progress
from steps.training.data import Skip
from steps.training.options import TrainerSettings, has_cuda

#: Keys of a trainer's log, and what they are called in a history.
_HISTORY = {
    "epoch": "epoch",
    "loss": "loss",
    "eval_loss": "eval_loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "rewards/accuracies": "reward_accuracy",
    "rewards/margins": "reward_margin",
    "eval_rewards/accuracies": "eval_reward_accuracy",
    "eval_rewards/margins": "eval_reward_margin",
}


class TrainResult(NamedTuple):
    """A trained model.

    Attributes:
        path: The model directory.
        history: One entry per logged step: `step`, and of `loss`, `eval_loss`, `learning_rate`, `grad_norm` and the
            like what was measured there. Step 0 is before training.
        n_rows_trained: Rows that the trainer saw.
        skipped: Rows that it could not be given.
        metrics: Numbers about the whole training.
    """

    path: Path
    history: list[dict[str, float]]
    n_rows_trained: int
    skipped: list[Skip]
    metrics: dict[str, float]

    def report(self) -> dict[str, Any]:
        """Return all of it but the path, as JSON values."""
        return {
            "history": self.history,
            "n_rows_trained": self.n_rows_trained,
            "n_rows_skipped": len(self.skipped),
            "skipped": [{"row_id": s.row_id, "reason": s.reason.value, "detail": s.detail} for s in self.skipped],
            "metrics": self.metrics,
        }


def arguments(settings: TrainerSettings, directory: Path, report_to: list[str], n_rows: int) -> dict[str, Any]:
    """Return the training arguments that SFT and DPO share."""
    per_step = settings.batch_size * settings.gradient_accumulation_steps
    n_steps = math.ceil(settings.epochs * math.ceil(n_rows / per_step))
    half = settings.dtype == "bfloat16" or (settings.dtype == "auto" and has_cuda())
    return {
        "output_dir": str(directory),
        "report_to": report_to or "none",
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size,
        "per_device_eval_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation_steps,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.scheduler,
        "warmup_steps": math.ceil(settings.warmup_ratio * n_steps),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "activation_checkpointing": settings.activation_checkpointing,
        "gradient_checkpointing": None,  # TRL turns this deprecated alias on by default
        "seed": settings.seed,
        "data_seed": settings.seed,
        "bf16": half,
        "use_cpu": not has_cuda(),
        "dataloader_pin_memory": has_cuda(),
        "logging_steps": max(1, min(settings.logging_steps, n_steps // 10)),
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "disable_tqdm": True,
        "max_length": None,  # rows that are too long were skipped and counted before
        "remove_unused_columns": False,
    }


def run_trainer(trainer: Any, description: str, patience: int | None = None) -> list[dict[str, float]]:
    """Train to the end and return the history.

    Args:
        trainer: A TRL trainer.
        description: Shown beside the progress bar.
        patience: Evaluations without a better `eval_loss` after which training stops; the best weights are restored.

    Raises:
        TrainingError: naming the step at which the loss or the gradient stopped being a number.
    """
    best = _Best()
    with ExitStack() as stack:
        trainer.add_callback(_watch(stack, description))
        if patience is not None:
            trainer.add_callback(_stop_early(best, patience))
        trainer.train()
    best.restore(trainer.model)
    return history_of(trainer.state.log_history)


def silent(trainer: Any) -> Any:
    """Take away the callback that prints every log entry."""
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    return trainer


def history_of(log: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Merge a trainer's log entries into one per step, keeping what a reader of the curves asks for."""
    rows: dict[int, dict[str, float]] = {}
    for entry in log:
        measured = {kept: float(entry[name]) for name, kept in _HISTORY.items() if name in entry}
        if set(measured) - {"epoch"}:
            rows.setdefault(int(entry["step"]), {"step": int(entry["step"])}).update(measured)
    return [rows[step] for step in sorted(rows)]


def check_finite(step: int, logs: dict[str, Any]) -> None:
    """Raise if a loss or gradient norm is NaN or infinite.

    Raises:
        TrainingError: naming the step.
    """
    for name in ("loss", "eval_loss", "grad_norm"):
        value = logs.get(name)
        if isinstance(value, int | float) and not math.isfinite(value):
            raise TrainingError(
                f"training diverged: at step {step} {name} is {value}. Lower learning_rate, raise warmup_ratio, or "
                "look for rows without sense in the data"
            )


@contextmanager
def isolated_randomness() -> Iterator[None]:
    """Give the global random generators back as they were; the trainers seed all of them."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _watch(stack: ExitStack, description: str) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Shows the progress, and stops at the first number that is none."""

        bar: Bar
        note = ""

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.bar = stack.enter_context(progress(description, state.max_steps))

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.bar.advance(note=self.note)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            check_finite(state.global_step, logs or {})
            if logs and "loss" in logs:
                self.note = f"loss {float(logs['loss']):.3f}"

    return Watch()


class _Best:
    """The trained weights at the lowest `eval_loss` so far, on the CPU."""

    def __init__(self) -> None:
        self.loss = math.inf
        self.waited = 0
        self.weights: dict[str, Any] = {}

    def offer(self, loss: float, model: Any) -> None:
        if loss >= self.loss:
            self.waited += 1
            return
        self.loss, self.waited = loss, 0
        self.weights = {n: p.detach().cpu().clone() for n, p in model.named_parameters() if p.requires_grad}

    def restore(self, model: Any) -> None:
        for name, parameter in model.named_parameters():
            if name in self.weights:
                parameter.data.copy_(self.weights[name])


def _stop_early(best: _Best, patience: int) -> Any:
    from transformers import TrainerCallback

    class StopEarly(TrainerCallback):  # type: ignore[misc]
        """Stops when the validation loss no longer falls."""

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            best.offer(kwargs["metrics"]["eval_loss"], kwargs["model"])
            control.should_training_stop = best.waited >= patience

    return StopEarly()
