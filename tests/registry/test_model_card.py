import json

import pytest
import yaml

from steps.errors import ReleaseError
from steps.registry.model_card import CardFacts, front_matter, render_card
from steps.registry.parity import Check
from steps.registry.release import ReleaseSettings


@pytest.fixture
def facts(model, evaluation_report, curation_report, verdict) -> CardFacts:
    return CardFacts(
        name="notes",
        settings=ReleaseSettings(licence="apache-2.0", intended_use="Summaries of notes.", limits="Not for medicine."),
        manifest=json.loads((model / "tunesmith.json").read_text()),
        curation_report=curation_report,
        evaluation_report=evaluation_report,
        verdict=verdict,
        parity=[Check("same tokens", True, "12 tokens"), Check("merged", None, "no adapter")],
        lineage={"pipeline run": "retrain-1"},
    )


def test_the_metadata_block_is_what_the_hub_reads(facts):
    card = render_card(facts)
    assert yaml.safe_load(card.split("---\n")[1]) == {
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": "made/base",
        "tags": ["tunesmith", "sft", "lora"],
    }
    local = facts._replace(manifest={**facts.manifest, "base": "/data/models/x"})
    assert "base_model" not in front_matter(local)


@pytest.mark.parametrize(
    "line",
    [
        "Summaries of notes.",
        "Not for medicine.",
        "| sft | zero-shot | 1.250 [1.000, 1.500] | 0.500 [0.400, 0.600] | 12.5 | 90% | 29 of 30 |",
        "| base | few-shot | – | 0.500 [0.400, 0.600] | 12.5 | 90% | 29 of 30 |",
        "**Verdict: promote.** The interval lies above 0.",
        "| notes\\|2026 | summary | CC0-1.0 | 90 |",
        "| filter | 100 | 90 | 10 | too_few_words 10 |",
        "**SFT**: 64 rows, final loss 1.2500",
        "| rank | 4 |",
        "| same tokens | passed | 12 tokens |",
        "| merged | not applicable | no adapter |",
        "| pipeline run | `retrain-1` |",
    ],
)
def test_the_card_states_what_the_run_measured(facts, line):
    assert line in render_card(facts).splitlines()


def test_the_card_names_template_hash_and_versions(facts):
    card = render_card(facts)
    assert facts.manifest["template"]["sha256"] in card
    assert f"torch {facts.manifest['versions']['torch']}" in card


def test_an_aligned_model_shows_both_trainings(facts):
    own = {**facts.manifest, "kind": "dpo", "settings": {"beta": 0.1}, "sft": facts.manifest}
    card = render_card(facts._replace(manifest=own))
    assert card.index("**SFT**") < card.index("| rank | 4 |") < card.index("**DPO**") < card.index("| beta | 0.1 |")


def test_a_candidate_says_so_at_the_top(facts):
    held = {**facts.verdict, "decision": "hold", "reason": "No difference."}
    card = render_card(facts._replace(verdict=held))
    assert "**This is a candidate. The gate did not promote it:** No difference." in card
    assert "candidate" in front_matter(facts._replace(verdict=held))["tags"]
    assert "This is a candidate" not in render_card(facts)


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("manifest", "template"),
        ("manifest", "versions"),
        ("manifest", "seed"),
        ("curation_report", "sources"),
        ("curation_report", "funnel"),
        ("evaluation_report", "models"),
        ("verdict", "reason"),
    ],
)
def test_a_missing_fact_is_named_and_no_card_is_written(facts, part, key):
    without = {name: value for name, value in getattr(facts, part).items() if name != key}
    with pytest.raises(ReleaseError, match=key):
        render_card(facts._replace(**{part: without}))


def test_a_gap_inside_a_fact_is_found_too(facts):
    source = {"source": "notes", "kind": "summary", "n_rows": 3}
    with pytest.raises(ReleaseError, match="licence"):
        render_card(facts._replace(curation_report={**facts.curation_report, "sources": [source]}))
