from typing import Any

import pytest
from pydantic import ValidationError

from steps.errors import DropLimitError
from steps.ledger import count_dropped
from steps.synthesis.compose import Composed, compose
from steps.synthesis.synthesise import SynthesisSettings, synthesise
from tests.synthesis.generators import Answerer, completing, count_words, honest
from tests.synthesis.test_generate import MODEL, TEXT, pairs, saying
from tests.synthesis.test_synthesise import documents

GENERATE = {
    "model": MODEL,
    "kinds": {"question_answering": 1},
    "chunks": {"min_tokens": 5},
    "pairs_per_chunk": 2,
    "ground": {"max_drop_fraction": 1},
}


def composed(answer: Answerer, *texts: str, **changes: Any) -> Composed:
    settings = SynthesisSettings(**{"generate": GENERATE, **changes})
    return compose(documents(*texts), settings, count_words, completing(answer))


def test_generated_rows_stand_behind_those_of_the_structure(guide: str) -> None:
    made = composed(honest, guide)
    n_found = made.examples["generator"].null_count
    assert 0 < n_found < made.examples.num_rows
    assert made.examples["generator"].to_pylist()[:n_found] == [None] * n_found
    (entry,) = made.synthesise_ledger.to_pylist()
    assert entry["detail"] == f"{n_found} pairs; 2 generated from 1 of 1 chunks"


def test_document_is_used_if_it_gave_a_pair_either_way() -> None:
    made = composed(honest, TEXT, "Short.", kinds=[], max_drop_fraction=0.5)
    used, unused = made.synthesise_ledger.to_pylist()
    assert (used["decision"], used["reason"]) == ("kept", None)
    assert used["detail"] == "no pair found in its structure; 2 generated from 1 of 1 chunks"
    assert (unused["decision"], unused["reason"]) == ("dropped", "no_usable_structure")
    assert "1 chunks too short to ask about" in unused["detail"]
    with pytest.raises(DropLimitError, match="stage synthesise dropped 1 of 2"):
        composed(honest, TEXT, "Short.", kinds=[], max_drop_fraction=0.4)


def test_without_generation_nothing_but_the_report_is_added(guide: str) -> None:
    made = compose(documents(guide), SynthesisSettings())
    assert made.examples.equals(synthesise(documents(guide), SynthesisSettings()).kept)
    assert (made.generations.num_rows, made.generate_ledger.num_rows, made.ground_ledger.num_rows) == (0, 0, 0)
    assert made.report["accuracy"] is None
    assert "usage" not in made.report


def test_report_measures_coverage_diversity_complexity_and_accuracy() -> None:
    answer = saying(
        pairs(
            ("Explain why it holds them for an hour.", "1. It holds them for an hour.\n2. Then it asks again."),
            ("How long are they held?", "They are held for 3 days."),
        )
    )
    report = composed(answer, TEXT, "Short.", kinds=[]).report
    assert (report["n_examples"], report["kinds"]) == (1, {"question_answering": 1})
    assert report["coverage"]["document_share"] == 0.5
    assert report["coverage"]["chunk_share"] == 1.0
    assert 0.9 < report["coverage"]["character_share"] < 1
    assert report["diversity"]["first_words"] == {"explain": 1}
    assert report["accuracy"]["grounded_share"] == 0.5
    assert report["accuracy"]["reasons"] == {"unsupported_number": 1}
    assert report["requests"] == {"n_requests": 1, "n_without_pair": 0, "reasons": {}}
    assert report["usage"]["tiny-2026"]["n_requests"] == 1
    assert report["length"]["answer_words"]["max"] == 12
    assert report["guidance"]["verdict"] == "below"
    assert [warning.partition(":")[0] for warning in report["warnings"]] == ["quantity", "accuracy"]


def test_duplicates_of_instructions_are_counted_and_warned_of() -> None:
    report = composed(honest, *[f"{TEXT}\nIt is number {n}.\n" for n in range(30)], kinds=[]).report
    assert report["duplicates"]["n_equal_instructions"] == 58
    assert report["duplicates"]["n_near_instructions"] >= 58
    assert any("repeat an earlier one" in warning for warning in report["warnings"])
    assert report["complexity"]["evolved_share"] == 0.0


def test_books_balance_over_all_stages() -> None:
    made = composed(honest, TEXT, TEXT + "More of it is said here.\n", kinds=[])
    assert made.synthesise_ledger.num_rows == 2
    assert made.generate_ledger.num_rows == made.generations.num_rows == 2
    assert made.ground_ledger.num_rows - count_dropped(made.ground_ledger) == made.examples.num_rows


def test_settings_must_make_something() -> None:
    with pytest.raises(ValidationError, match="makes no pairs"):
        SynthesisSettings(kinds=[])
