"""The pipeline `curate` with a model that writes: three guides, and an endpoint that answers from what it is shown."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from zenml.client import Client

from pipelines.runner import Outcome, run_config
from steps.judging.rubric import load_rubric
from steps.synthesis.prompts import load_prompt
from tests.llm.server import FakeEndpoint
from tests.synthesis.generators import material_of

pytestmark = pytest.mark.integration

SENTENCE = re.compile(r"[A-Z][^.#]{20,}\.")
GUIDES = {
    "cache": """# Cache

The cache keeps the answers of slow requests for an hour beside the gateway. Its oldest entry leaves first when the
memory is full, and the metrics name the reason. A purge by hand empties one region at a time within a second.

## Warming

Before a release the warmer replays the thousand most frequent requests of yesterday. It runs on a machine of its own,
so that no user waits for it. Failed requests are replayed twice and then left to the first user who asks.
""",
    "crane": """# Harbour crane

The crane lifts containers of up to forty tonnes from the ship to the quay. A driver sits in the cabin at a height of
thirty metres and sees the spreader through a glass floor. Above seven on the Beaufort scale all lifting stops.

## Maintenance

Mechanics grease the hoist rope every Monday morning before the early shift. The brakes are measured once a month with
an empty spreader. Worn sheaves are replaced in pairs because a new one beside an old one cuts the rope.
""",
    "bakery": """# Bakery

The dough for rye bread rests for sixteen hours in wooden troughs under a damp cloth. Bakers shape the loaves at four
in the morning and let them rise in baskets of cane. The oven is heated with beech and holds eighty loaves.

## Delivery

Two vans bring the bread to nineteen shops before seven. Unsold loaves come back in the evening and are milled to
crumbs for the next rye dough. Every crate carries the date of baking in chalk on its left side.
""",
}
N_PAIRS = 3
#: What the endpoint says that it serves under the name that was asked for.
SERVED = "fake-writer-2026"
CRITERIA = load_rubric("helpfulness_v2").rubric.criteria


def answer_from(messages: list[dict[str, str]]) -> str:
    """Ask about sentences of the material and answer with them; the last answer of each is made up. Grade answers."""
    if "BEGIN ANSWER" in messages[-1]["content"]:
        return json.dumps({"rationale": "It says what was asked.", **dict.fromkeys(CRITERIA, 4), "score": 4})
    told = [" ".join(sentence.split()) for sentence in SENTENCE.findall(material_of(messages))][: N_PAIRS - 1]
    pairs = [{"instruction": f"What is said of “{' '.join(one.split()[:6])}”?", "answer": one} for one in told]
    made_up = {
        "instruction": "Who founded it, and when?",
        "answer": "Ferdinand Okafor founded the Zenith Guild in 1871.",
    }
    return json.dumps({"pairs": [*pairs, made_up]})


def written(folder: Path, base_url: str) -> Path:
    """Write the guides and the config of a run that has a model ask and answer about them."""
    (folder / "guides").mkdir(exist_ok=True)
    for name, text in GUIDES.items():
        (folder / "guides" / f"{name}.md").write_text(text)
    prices = {"price_per_million_input_usd": 0.5, "price_per_million_output_usd": 2}
    model = {"base_url": base_url, "model": "fake-writer", "backoff_s": 0.01, **prices}
    graders = [{"type": "llm", "model": {**model, "model": name, "family": name}} for name in ("one", "two")]
    chunks = {"max_tokens": 200, "min_tokens": 20}
    generate = {"model": model, "kinds": {"question_answering": 1}, "pairs_per_chunk": N_PAIRS, "chunks": chunks}
    config = {
        "name": "written",
        "pipeline": "curate",
        "seed": 3,
        "sources": [{"type": "documents", "name": "guides", "path": "guides", "licence": "Apache-2.0"}],
        "curation": {
            "synthesise": {"kinds": ["section"], "generate": generate},
            "filter": {"length": {"min_answer_words": 4}},
            "dedup": {"semantic": None},
            "judge": {"judges": graders, "aggregate": "mean"},
            "split": {"stratify": "exact", "test_fraction": 0.4, "validation_fraction": 0},
        },
        "model": {"tiny": {"hidden_size": 32, "n_layers": 1, "n_heads": 2, "vocab_size": 400, "steps": 4}},
    }
    path = folder / "written.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def outputs_of(outcome: Outcome, step: str) -> dict:
    run = Client().get_pipeline_run(outcome.summary["run_id"])
    return {name: versions[0].load() for name, versions in run.steps[step].outputs.items()}


def test_what_a_model_writes_reaches_the_data_set_with_its_origin_and_is_asked_for_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    with FakeEndpoint(answer_from) as endpoint:
        config = written(tmp_path, endpoint.base_url)
        outcome = run_config(config)
        n_sent = len(endpoint.bodies)
        n_asked = sum("BEGIN MATERIAL" in body["messages"][-1]["content"] for body in endpoint.bodies)
        # Another bound has the step run again, and nothing before it.
        again = run_config(config, ["curation.synthesise.max_drop_fraction=0.5"])
        assert len(endpoint.bodies) == n_sent

    made = outputs_of(outcome, "synthesise_examples")
    generations = made["generations"].to_pylist()
    assert len(generations) == n_asked
    assert {row["model"] for row in generations} == {SERVED}

    stages = {stage["stage"]: stage for stage in outcome.summary["stages"]}
    for stage in stages.values():
        assert stage["n_in"] == stage["n_kept"] + stage["n_dropped"]
    assert stages["generate"]["n_in"] == n_asked
    assert stages["ground"]["n_in"] == sum(row["n_pairs"] for row in generations)
    assert stages["ground"]["reasons"] == {"unsupported_number": n_asked}  # what is made up, once in each reply

    asked = {(one["stage"], one["model"]): one for one in outcome.summary["asked"]}
    n_judged = stages["judge"]["n_in"]
    assert {key: one["n_requests"] for key, one in asked.items()} == {
        ("synthesise", SERVED): n_asked,
        ("judge", "one-2026"): n_judged,
        ("judge", "two-2026"): n_judged,
    }
    assert all(one["cost_usd"] == pytest.approx(one["n_requests"] * 7e-5) for one in asked.values())

    rows = outputs_of(outcome, "mix_dataset")["sft_dataset"].to_pylist()
    generated = [row for row in rows if row["generator"] is not None]
    assert Counter(row["kind"] for row in generated).keys() == {"question_answering"}
    prompt = load_prompt("question_answering_v1", "question_answering")
    chunks = {row["chunk_id"] for row in generations}
    for row in generated:
        assert row["generator"] == SERVED
        assert row["prompt_sha256"] == prompt.sha256
        assert row["chunk_id"] in chunks
        assert "Zenith" not in str(row["messages"])
    assert {row["document_id"] for row in generated} == {row["document_id"] for row in rows}

    assert sum(one["cost_usd"] for one in again.summary["asked"]) == 0
    assert sum(one["saved_usd"] for one in again.summary["asked"]) == pytest.approx(n_sent * 7e-5)

    repeated = outputs_of(again, "synthesise_examples")
    assert repeated["examples"]["id"].to_pylist() == made["examples"]["id"].to_pylist()
    cached = {step["step"] for step in again.summary["steps"] if step["cached"]}
    assert {"filter_examples", "split_dataset", "mix_dataset"} <= cached  # the same rows, so nothing behind runs again
