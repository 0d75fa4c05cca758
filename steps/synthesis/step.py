"""The step that makes examples of documents."""

from typing import Annotated

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.synthesis.synthesise import SynthesisSettings, synthesise


@step(cache_policy=rerun_when_changed(__file__))
def synthesise_examples(
    documents: pa.Table, imported_examples: pa.Table, settings: SynthesisSettings
) -> tuple[Annotated[pa.Table, "examples"], Annotated[pa.Table, "synthesise_ledger"]]:
    """Make examples of the documents, and put the imported ones behind them; the ledger speaks of documents only."""
    result = synthesise(documents, settings)
    return pa.concat_tables([result.kept, imported_examples]), result.ledger
