"""The step that reads all sources."""

from typing import Annotated

import pyarrow as pa
from zenml import log_metadata, step

from steps.cache_folder import cache_folder
from steps.caching import rerun_when_changed
from steps.extraction.document_columns import repairs_of
from steps.extraction.extract import extract
from steps.extraction.inventory import FETCHED, open_cache
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
    """Read all sources; `fingerprint` hashes what they hold, so that changed ones are read again."""
    counts: dict[str, int] = {}
    with open_cache(cache_folder(), settings) as cache:
        found = extract(sources, settings, cache, cache_folder() / FETCHED)
        if cache is not None:
            counts = {"n_from_cache": cache.n_from_cache, "n_read": cache.n_read}
    log_metadata({**counts, "repairs": repairs_of(found.documents)})
    return found.documents, found.examples, found.preferences, found.ledger
