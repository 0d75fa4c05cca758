"""The step that makes examples of documents."""

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.filtering.tokens import token_counter
from steps.mixing.guidance import TaskType, parameters_of
from steps.synthesis.compose import compose
from steps.synthesis.synthesise import SynthesisSettings


@step(cache_policy=rerun_when_changed(__file__))
def synthesise_examples(
    documents: pa.Table,
    imported_examples: pa.Table,
    settings: SynthesisSettings,
    base_model: Path | None = None,
    task_type: TaskType | None = None,
    files_hash: str = "",
) -> tuple[
    Annotated[pa.Table, "examples"],
    Annotated[pa.Table, "synthesise_ledger"],
    Annotated[pa.Table, "generations"],
    Annotated[pa.Table, "generate_ledger"],
    Annotated[pa.Table, "ground_ledger"],
    Annotated[dict[str, Any], "synthesise_report"],
]:
    """Make examples of the documents, and put the imported ones behind them; the ledgers speak of documents only.

    `base_model`, whose tokenizer counts, is needed only where a model generates; `files_hash` stands in the cache key
    for the prompts, personas and examples of the user's.
    """
    count_tokens = token_counter(base_model) if base_model is not None else None
    n_parameters = parameters_of(base_model) if base_model is not None else None
    made = compose(documents, settings, count_tokens, task=task_type, n_parameters=n_parameters)
    examples = pa.concat_tables([made.examples, imported_examples])
    ledgers = made.synthesise_ledger, made.generations, made.generate_ledger, made.ground_ledger
    return examples, *ledgers, made.report
