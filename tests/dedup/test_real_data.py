import json

import numpy as np
import pyarrow as pa
import pytest

from steps.dedup.documents import Documents
from steps.dedup.minhash import MinHashSettings, near_duplicates
from steps.dedup.oracle import VERIFIED, select, similar_pairs

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize("size", [100, 1000])
def test_the_known_pairs_of_a_thousand_articles_are_found_and_nothing_else(real_data, size):
    folder = real_data / "minhash-articles"
    lines = (folder / f"articles_{size}.train").read_text().splitlines()
    names, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
    truth = {frozenset(line.split()) for line in (folder / f"articles_{size}.truth").read_text().splitlines()}
    documents = Documents(pa.chunked_array([list(texts)]))
    for method in ("minhash", "exact_join"):
        settings = MinHashSettings.model_validate(
            {"threshold": 0.5, "shingle_words": 3, "key": "answer", "method": method}
        )
        found = near_duplicates(documents, settings).duplicates
        assert {frozenset((names[match.row], names[match.other])) for match in found} == truth


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_documents_of_real_projects_lose_what_the_oracle_says(real_data, threshold):
    lines = (real_data / "techdocs" / "techdocs.jsonl").read_text().splitlines()
    documents = Documents(pa.chunked_array([[json.loads(line)["text"] for line in lines]]))
    expected = select(similar_pairs(documents, threshold).rename_columns(VERIFIED.names))
    settings = MinHashSettings(threshold=threshold, key="answer")
    found = near_duplicates(documents, settings).duplicates
    assert np.array_equal([match.row for match in found], expected["id"].to_numpy())
    assert len(found) > 20
