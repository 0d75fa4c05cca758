import json
from pathlib import Path

import pytest

from pipelines.at_hand import rows_of_sources
from pipelines.config import load_config
from pipelines.estimates import estimates_of
from pipelines.estimating import estimate, said
from steps.errors import InputError
from steps.judging.judge import judge_rows
from steps.llm.client import ChatClient
from steps.llm.endpoint import EndpointSettings
from steps.llm.request import ChatRequest
from tests.llm.server import FakeEndpoint

PRICES = {"price_per_million_input_usd": 1.0, "price_per_million_output_usd": 10.0}


@pytest.fixture
def server():
    def grade(messages):
        criteria = ("instruction_following", "correctness", "completeness", "clarity")
        return json.dumps({"rationale": "fine", **dict.fromkeys(criteria, 4), "score": 4})

    with FakeEndpoint(grade) as running:
        yield running


@pytest.fixture
def config(server, tmp_path, monkeypatch):
    """Three documents that each give a few pairs, and a judge that grades them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("pump", "winch", "mast"):
        text = f"# The {name}\n\nThe {name} is serviced every spring by the crew.\n\n## Care\n\n" + "".join(
            f"- Check the {name} for {fault}, and write it down.\n" for fault in ("rust", "leaks", "noise", "wear")
        )
        (tmp_path / "docs" / f"{name}.md").write_text(text)
    judge = {"type": "llm", "model": {"base_url": server.base_url, "model": "grader", "probe": False, **PRICES}}
    content = {
        "name": "estimated",
        "pipeline": "curate",
        "sources": [{"type": "documents", "name": "docs", "path": "docs"}],
        "curation": {"judge": {"judges": [judge]}},
    }
    (tmp_path / "run.yaml").write_text(json.dumps(content))
    return load_config(tmp_path / "run.yaml")


def requests(*texts, **changes):
    return [ChatRequest([{"role": "user", "content": text}], **changes) for text in texts]


def test_tokens_are_counted_and_priced_with_what_a_template_adds():
    endpoint = EndpointSettings(base_url="http://x/v1", model="m", max_tokens=50, cache_path=None, **PRICES)
    found = estimate("judge", requests("a b c", "d e"), endpoint, lambda texts: [len(one.split()) for one in texts])
    assert (found.n_requests, found.n_cached, found.prompt_tokens) == (2, 0, 5 + 2 * 10)
    assert (found.reply_tokens, found.most_reply_tokens) == (100, 100)
    assert found.cost_usd == pytest.approx((25 * 1.0 + 100 * 10.0) / 1e6)


def test_a_sample_stands_for_all_requests():
    endpoint = EndpointSettings(base_url="http://x/v1", model="m", max_tokens=50, cache_path=None)
    found = estimate("judge", requests("abcd", "efgh"), endpoint, None, share=0.1, basis="rows")
    assert (found.n_requests, found.prompt_tokens, found.most_reply_tokens) == (20, 220, 1000)
    assert found.cost_usd is None
    assert "price unknown (rows; tokens estimated at 4 characters each)" in said([found])[0]


def test_what_is_cached_is_taken_off_and_tells_how_long_replies_are(server, tmp_path):
    cache = str(tmp_path / "replies.sqlite")
    endpoint = EndpointSettings(base_url=server.base_url, model="m", cache_path=cache, max_tokens=400, **PRICES)
    ChatClient(endpoint).complete_all(requests("one", "two"))
    found = estimate("judge", requests("one", "two", "three"), endpoint, lambda texts: [1] * len(texts))
    assert (found.n_requests, found.n_cached, found.prompt_tokens) == (3, 2, 11)
    assert (found.reply_tokens, found.most_reply_tokens) == (10, 400)


def test_the_plan_foresees_exactly_what_the_judge_asks_and_asks_nothing_itself(config, server):
    (before,) = estimates_of(config)
    assert not server.bodies
    rows = rows_of_sources(config).examples
    judge_rows(rows, config.curation.judge)
    assert before.n_requests == len(server.bodies) == rows.num_rows >= 3
    assert (before.n_cached, before.cost_usd) == (0, pytest.approx(before.most_cost_usd))
    (after,) = estimates_of(config)
    assert (after.n_requests, after.n_cached, after.prompt_tokens, after.cost_usd) == (
        rows.num_rows,
        rows.num_rows,
        0,
        0,
    )


def test_a_tokenizer_that_is_named_and_not_there_is_refused(config, tmp_path):
    judge = config.curation.judge.judges[0]
    model = judge.model.model_copy(update={"tokenizer": str(tmp_path / "nowhere")})
    judging = config.curation.judge.model_copy(update={"judges": (judge.model_copy(update={"model": model}),)})
    changed = config.model_copy(update={"curation": config.curation.model_copy(update={"judge": judging})})
    with pytest.raises(InputError, match=r"tokenizer=.*nowhere of model grader"):
        estimates_of(changed)


def test_a_run_that_asks_no_model_has_nothing_to_estimate(config):
    curation = config.curation.model_copy(update={"judge": type(config.curation.judge)()})
    assert estimates_of(config.model_copy(update={"curation": curation})) == []
    assert not Path(".tunesmith/replies.sqlite").exists()
