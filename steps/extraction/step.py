"""The step that reads all sources."""

from typing import Annotated

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.extraction.extract import extract
from steps.extraction.sources import ExtractionSettings, Sources


@step(cache_policy=rerun_when_changed(__file__))
def extract_documents(
    sources: Sources, settings: ExtractionSettings, fingerprint: str
) -> tuple[
    Annotated[pa.Table, "documents"],
    Annotated[pa.Table, "imported_examples"],
    Annotated[pa.Table, "imported_preferences"],
    Annotated[pa.Table, "extract_ledger"],
]:
    """Read all sources; `fingerprint` hashes their files, so that changed ones are read again."""
    found = extract(sources, settings)
    return found.documents, found.examples, found.preferences, found.ledger
