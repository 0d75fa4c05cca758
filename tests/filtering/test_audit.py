import numpy as np
import pyarrow as pa
import pytest

from steps.errors import ConfigError
from steps.filtering.audit import AuditSettings, audit
from steps.filtering.length import LengthSettings
from steps.filtering.rules import FilteringSettings, apply_filters
from steps.filtering.slices import SliceSettings, slicings_of
from steps.ledger import count_dropped, reasons

PLAIN = SliceSettings(dimensions=("source", "length"))


@pytest.fixture
def table(examples):
    """Two sources: in one, every fourth answer is far too short and refuses besides."""
    answers = ["no help" if n % 4 == 0 else f"An answer of some words, number {n}." for n in range(200)]
    answers += [f"A better answer of some words, number {n}." for n in range(400)]
    rows = examples(*([("user", f"Question {n}?"), ("assistant", answer)] for n, answer in enumerate(answers)))
    sources = pa.array(["log"] * 200 + ["manual"] * 400)
    return rows.set_column(3, rows.schema.field("source"), sources)


SETTINGS = FilteringSettings.model_validate(
    {
        "length": {"min_answer_words": 5, "max_prompt_words": 2},
        "keywords": {"phrases": ["no help"]},
        "max_drop_fraction": 1,
    }
)


def test_every_rule_is_asked_about_every_row_and_the_ledgers_reasons_are_told_apart(table):
    report = audit(table, SETTINGS, AuditSettings(slices=PLAIN))
    found = {rule["reason"]: (rule["n_dropped"], rule["n_named"], rule["n_alone"]) for rule in report["rules"]}
    assert found == {"too_few_answer_words": (50, 50, 0), "excluded_keyword": (50, 0, 0)}
    ledger = apply_filters(table, SETTINGS).ledger
    assert reasons(ledger) == {"too_few_answer_words": 50}
    assert report["n_dropped"] == count_dropped(ledger) == 50
    assert "too_many_prompt_words" in report["silent"]
    assert "refusals" in report["silent"]


def test_slices_and_the_source_that_suffers_are_named(table):
    report = audit(table, SETTINGS, AuditSettings(slices=PLAIN))
    by_source = {entry["slice"]: entry for entry in report["slices"][0]["slices"]}
    assert (by_source["log"]["n_rows"], by_source["log"]["n_dropped"]) == (200, 50)
    assert by_source["log"]["most_common"] == "too_few_answer_words"
    assert by_source["manual"]["n_dropped"] == 0
    named = {(pair["reason"], pair["slice"]) for pair in report["uneven"] if pair["dimension"] == "source"}
    assert named == {("too_few_answer_words", "log"), ("excluded_keyword", "log")}


def test_rows_next_to_a_bound_are_shown_from_both_sides(examples):
    table = examples(*([("user", "Q?"), ("assistant", "word " * n)] for n in (9, 2, 5, 4, 30, 6)))
    settings = FilteringSettings.model_validate({"preset": "none", "length": {"min_answer_words": 5}})
    report = audit(table, settings, AuditSettings(n_examples=2, slices=PLAIN))
    (rule,) = report["rules"]
    assert rule["bound"] == "< 5"
    assert [entry["value"] for entry in rule["just_kept"]] == [5, 6]
    assert [entry["value"] for entry in rule["just_dropped"]] == [4, 2]
    assert rule["just_dropped"][0]["answer"] == "word word word word"


def test_a_rule_without_a_bound_shows_what_it_said(table):
    (rule,) = [rule for rule in audit(table, SETTINGS)["rules"] if rule["reason"] == "excluded_keyword"]
    assert rule["bound"] == ""
    assert rule["just_dropped"][0]["detail"] == "'no help' in “no help”"
    assert len(rule["just_dropped"]) == 3


def test_a_large_table_is_sampled_by_the_seed(table):
    report = audit(table, SETTINGS, AuditSettings(max_rows=100, slices=PLAIN))
    assert (report["n_rows"], report["n_audited"]) == (600, 100)
    assert report == audit(table, SETTINGS, AuditSettings(max_rows=100, slices=PLAIN))
    assert 0 < report["n_dropped"] < 25


def test_bounds_on_tokens_need_a_tokenizer(table):
    settings = FilteringSettings(length=LengthSettings(max_answer_tokens=3))
    with pytest.raises(ConfigError, match="tokenizer"):
        audit(table, settings)


def test_rows_are_cut_by_language_length_and_topic(examples):
    cooking = ["Boil the pasta in salted water and stir the tomato sauce", "Bake the bread with flour, yeast and water"]
    sailing = ["Hoist the sail and steer the boat into the wind", "The anchor holds the boat near the harbour wall"]
    german = "Der Hund schläft unter dem Tisch, weil es draußen regnet und der Wind kalt ist."
    texts = [*cooking * 15, *sailing * 15, german, "1 2 3"]
    rows = examples(*([("user", "?"), ("assistant", f"{text}.")] for text in texts))
    settings = SliceSettings(min_rows_per_topic=20)
    slicings = {slicing.dimension: slicing for slicing in slicings_of(rows, settings, seed=1)}
    languages = np.array(slicings["language"].labels)[slicings["language"].codes]
    assert languages[[0, 59, 60, 61]].tolist() == ["en", "en", "de", "und"]
    lengths = np.array(slicings["length"].labels)[slicings["length"].codes]
    assert (lengths[0], lengths[61]) == ("40–200 characters", "0–40 characters")
    topics = slicings["topic"].codes
    assert set(topics[:30].tolist()).isdisjoint(topics[30:60].tolist())
    assert any("boat" in label for label in slicings["topic"].labels)


def test_an_empty_table_has_an_empty_audit(examples):
    report = audit(examples(), FilteringSettings())
    assert (report["n_audited"], report["rules"], report["uneven"]) == (0, [], [])
