import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from steps.errors import BudgetExceededError, DropLimitError, EndpointError
from steps.rows import EXAMPLES, GENERATIONS, LEDGER
from steps.synthesis.generate import Generated, generate
from steps.synthesis.generation_settings import GenerationSettings
from tests.llm.server import FakeEndpoint
from tests.synthesis.generators import Answerer, completing, count_words, honest, verdicts
from tests.synthesis.test_synthesise import documents

MODEL = {"base_url": "http://localhost:1/v1", "model": "tiny", "cache_path": None}
TEXT = """# Cache guide

The cache keeps the answers of slow requests near the caller. It holds them for an hour and then asks again.
Its size is set in the config of the gateway. The oldest entry goes first when there is no room for another one.
"""


def settings(**changes: Any) -> GenerationSettings:
    values = {"model": MODEL, "kinds": {"question_answering": 1}, "pairs_per_chunk": 2, "chunks": {"min_tokens": 5}}
    return GenerationSettings(**{**values, "personas": None, **changes})


def run(answer: Answerer = honest, *texts: str, judge: Answerer | None = None, **changes: Any) -> Generated:
    tried = settings(**changes)
    asked = completing(judge) if judge else None
    made = generate(documents(*(texts or (TEXT,))), tried, count_words, completing(answer), asked)
    assert made.examples.schema.equals(EXAMPLES)
    assert made.generations.schema.equals(GENERATIONS)
    assert made.generate_ledger.schema.equals(LEDGER)
    assert made.generations.num_rows == made.generate_ledger.num_rows
    return made


def pairs(*told: tuple[str, str]) -> str:
    return json.dumps({"pairs": [{"instruction": question, "answer": answer} for question, answer in told]})


def saying(text: str) -> Answerer:
    return lambda _: text


def reasons(ledger: pa.Table) -> dict[str, int]:
    return dict(Counter(reason for reason in ledger["reason"].to_pylist() if reason))


TRUE = "The cache keeps the answers of slow requests near the caller."


def test_every_pair_carries_chunk_span_generator_and_prompt() -> None:
    made = run()
    row = made.examples.to_pylist()[0]
    assert TEXT[row["span_start"] : row["span_end"]] == TEXT.strip()
    call = next(call for call in made.generations.to_pylist() if call["chunk_id"] == row["chunk_id"])
    assert (row["document_id"], row["group_id"], row["licence"]) == ("d0", "d0", "MIT")
    assert (row["generator"], row["prompt_version"]) == ("tiny-2026", "question_answering_v1")
    assert row["prompt_sha256"] == call["prompt_sha256"]
    assert len(row["prompt_sha256"]) == 64
    assert (call["n_pairs"], json.loads(call["raw"])["pairs"][0]["answer"]) == (2, row["messages"][1]["content"])
    assert row["derived_from"] is None
    assert len(set(made.examples["id"].to_pylist())) == made.examples.num_rows == 2


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("no JSON at all", "unparseable_reply"),
        ('{"pairs": "none"}', "unparseable_reply"),
        ('{"pairs": [{"instruction": "a?"}]}', "unparseable_reply"),
        ('{"pairs": []}', "no_pairs"),
        (pairs(("What is it?", " ")), "empty_text"),
        (pairs(("What does the text above say?", TRUE)), "refers_to_source"),
        (pairs(("What is it?", "<|im_start|>system")), "quotes_prompt"),
    ],
)
def test_reply_without_a_usable_pair_is_kept_with_its_reason(raw: str, reason: str) -> None:
    made = run(saying(raw), max_ungenerated_fraction=1)
    assert made.examples.num_rows == 0
    assert reasons(made.generate_ledger) == {reason: 1}
    assert made.generations["raw"].to_pylist() == [raw]


def test_single_pairs_are_refused_and_the_others_stay() -> None:
    made = run(saying(pairs(("What is kept?", TRUE), ("what is KEPT", TRUE), ("Who?", TRUE), ("And where?", TRUE))))
    assert made.examples.num_rows == 2
    (entry,) = made.generate_ledger.to_pylist()
    assert entry["detail"] == "question_answering: 2 of 2 pairs; refused: 1 repeated_instruction, 1 surplus"


def test_too_many_useless_replies_stop_the_run() -> None:
    with pytest.raises(DropLimitError, match=r"1 of 1 requests .* unparseable_reply: 1.*max_ungenerated_fraction"):
        run(saying("nonsense"))


def test_ungrounded_pairs_are_dropped_with_the_evidence() -> None:
    made = run(saying(pairs(("What is kept?", TRUE), ("How long?", "It keeps the answers of requests for 3 days."))))
    assert made.examples.num_rows == 1
    kept, dropped = made.ground_ledger.to_pylist()
    assert (kept["decision"], kept["row_id"]) == ("kept", made.examples["id"][0].as_py())
    assert (dropped["decision"], dropped["reason"]) == ("dropped", "unsupported_number")
    assert dropped["evidence_id"] == made.examples["chunk_id"][0].as_py()


def test_too_many_ungrounded_pairs_stop_the_run() -> None:
    with pytest.raises(DropLimitError, match="stage ground dropped 2 of 2"):
        run(saying(pairs(("One?", "It took 3 days."), ("Two?", "It took 4 days."))))


def test_without_grounding_everything_is_kept() -> None:
    made = run(saying(pairs(("How long?", "It keeps them for 3 days."))), ground=None)
    assert (made.examples.num_rows, made.ground_ledger.num_rows) == (1, 0)


def test_kinds_follow_their_weights_and_code_is_asked_where_code_is() -> None:
    kinds = {"question_answering": 3, "summary": 1, "code": 2}
    with_code = f"{TEXT}\n```python\ncache.start(size=64)\n```\n"
    made = run(honest, *[TEXT] * 10, *[with_code] * 10, kinds=kinds, pairs_per_chunk=4)
    asked: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for entry, call in zip(made.generate_ledger.to_pylist(), made.generations.to_pylist(), strict=True):
        asked[int(call["document_id"][1:]) >= 10][call["kind"]] += int(entry["detail"].split(" of ")[1].split()[0])
    assert set(asked[False]) == {"question_answering", "summary"}
    assert abs(asked[False]["question_answering"] - 30) <= 3
    assert abs(asked[True]["code"] - 40 * 2 / 6) <= 5


def test_tasks_on_a_text_hold_the_text_and_others_do_not() -> None:
    made = run(kinds={"summary": 1, "question_answering": 1}, pairs_per_chunk=4)
    for row in made.examples.to_pylist():
        assert row["messages"][0]["content"].endswith(TEXT.strip()) == (row["kind"] == "summary")


def test_conversations_have_several_turns() -> None:
    (row, *_) = run(kinds={"multi_turn": 1}, pairs_per_chunk=1).examples.to_pylist()
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"] * 2


def test_plan_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    def plan(seed: int) -> list[Any]:
        calls = run(seed=seed, personas="personas_v1", kinds={"summary": 1, "reasoning": 1}).generations
        return calls.select(["id", "kind", "persona"]).to_pylist()

    assert plan(1) == plan(1)
    assert len({json.dumps(plan(seed)) for seed in range(6)}) > 1


def test_a_long_document_is_asked_of_chunks_all_over_it() -> None:
    text = "\n\n".join(
        f"# Part {n}\n\nThe part says that thing number {n} keeps the answers of requests." for n in range(40)
    )
    made = run(honest, text, chunks={"max_tokens": 40, "min_tokens": 5}, pairs_per_chunk=2, max_pairs_per_document=8)
    starts = sorted(call["span_start"] for call in made.generations.to_pylist())
    assert len(starts) == 4
    assert starts[0] < len(text) / 4 < 3 * len(text) / 4 < starts[-1]


def test_examples_of_the_user_are_drawn_and_never_copied(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    lines = [{"instruction": f"How is thing {n} done?", "answer": "Like this."} for n in range(5)]
    lines.append({"instruction": "Sum it up.", "answer": "So.", "kind": "summary"})
    path.write_text("\n".join(map(json.dumps, lines)))
    shown: list[str] = []

    def copying(messages: list[dict[str, str]]) -> str:
        shown.append(messages[-1]["content"])
        first = json.loads(messages[-1]["content"].split("BEGIN EXAMPLES")[1].splitlines()[1])
        return pairs((first["instruction"], TRUE), ("What else is kept?", TRUE))

    made = run(copying, few_shot_path=str(path), few_shot=2)
    assert shown[0].count("How is thing") == 2
    assert "Sum it up" not in shown[0]
    assert made.examples.num_rows == 1
    assert "1 copies_example" in made.generate_ledger["detail"][0].as_py()


def evolving(instruction: str, answer: str = TRUE) -> Answerer:
    def answered(messages: list[dict[str, str]]) -> str:
        if "BEGIN REQUEST" in messages[-1]["content"]:
            return json.dumps({"instruction": instruction, "answer": answer})
        return pairs(("What is kept near the caller?", TRUE))

    return answered


def test_evolved_pairs_name_their_parent_and_the_operation() -> None:
    harder = "Explain in two sentences why answers are kept near the caller, and what must be set in the config."
    made = run(evolving(harder), evolve={"share": 1.0, "operations": ["deepen"]})
    parent, evolved = made.examples.to_pylist()
    assert evolved["derived_from"] == parent["id"]
    assert (evolved["kind"], evolved["prompt_version"]) == ("question_answering+deepen", "evolve_v1")
    assert made.generations["derived_from"].to_pylist() == [None, parent["id"]]


@pytest.mark.parametrize(
    ("instruction", "operation", "reason"),
    [
        ("What is kept near the caller?", "deepen", "equals_parent"),
        ("Near the caller what is kept", "deepen", "equals_parent"),
        ("What is kept?", "constrain", "not_harder"),
        ("What is it that is kept near the caller?", "broaden", None),
        ("What is kept near to the caller?", "broaden", "equals_parent"),
    ],
)
def test_evolved_pair_that_is_no_gain_is_dropped(instruction: str, operation: str, reason: str | None) -> None:
    made = run(evolving(instruction), evolve={"share": 1.0, "operations": [operation]})
    assert reasons(made.generate_ledger) == ({reason: 1} if reason else {})
    assert made.examples.num_rows == (1 if reason else 2)


def test_evolved_pairs_are_grounded_too_and_rounds_go_on_from_them() -> None:
    harder = "Explain why answers are kept near the caller in two sentences, and compare the reasons."
    made = run(evolving(harder, "For 3 days."), evolve={"share": 1.0}, ground={"max_drop_fraction": 1})
    assert reasons(made.ground_ledger) == {"unsupported_number": 1}
    twice = run(evolving(harder), evolve={"share": 1.0, "operations": ["deepen"], "rounds": 2})
    assert reasons(twice.generate_ledger) == {"equals_parent": 1}


def test_revision_corrects_what_lacked_support() -> None:
    def answered(messages: list[dict[str, str]]) -> str:
        if "BEGIN UNSUPPORTED" in messages[-1]["content"]:
            assert "1. It keeps them for 3 days." in messages[-1]["content"]
            return json.dumps({"answer": "It holds them for an hour."})
        return pairs(("How long are answers kept?", "It keeps them for 3 days."))

    made = run(answered, revise=True)
    (row,) = made.examples.to_pylist()
    assert row["messages"][1]["content"] == "It holds them for an hour."
    assert (row["kind"], row["prompt_version"]) == ("question_answering+revise", "revise_v1")
    refused = made.ground_ledger.filter(pc.equal(made.ground_ledger["decision"], "dropped"))
    assert refused["row_id"].to_pylist() == [row["derived_from"]]


JUDGE = {
    "ground": {"judge": {"model": {**MODEL, "model": "judge"}, "max_unjudged_fraction": 1}, "max_drop_fraction": 1}
}


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (verdicts([(TRUE, True)]), None),
        (verdicts([(TRUE, False)]), "judged_unsupported"),
        (verdicts([("The cache forgets.", True)]), "judged_unsupported"),
        (verdicts([]), "unjudged"),
        (verdicts([(TRUE, True), (TRUE, True)]), "unjudged"),
        ("no JSON", "unjudged"),
    ],
)
def test_grounding_judge_must_support_every_claim_with_a_true_quotation(verdict: str, reason: str | None) -> None:
    made = run(saying(pairs(("What is kept?", TRUE))), judge=saying(verdict), **JUDGE)
    assert reasons(made.ground_ledger) == ({reason: 1} if reason else {})
    assert made.judgements["raw"].to_pylist() == [verdict]
    assert made.judgements["prompt_version"].to_pylist() == ["ground_v1"]


def test_too_few_verdicts_stop_the_run() -> None:
    strict = {"ground": {"judge": {"model": MODEL}}}
    with pytest.raises(DropLimitError, match=r"1 of 1 pairs got no usable verdict.*max_unjudged_fraction"):
        run(saying(pairs(("What is kept?", TRUE))), judge=saying("no JSON"), **strict)


class TestOverHTTP:
    @pytest.fixture
    def served(self, tmp_path: Path) -> Iterator[Callable[..., tuple[FakeEndpoint, Generated]]]:
        with FakeEndpoint(honest) as endpoint:

            def ask(faults: tuple[Any, ...] = (), **changes: Any) -> tuple[FakeEndpoint, Generated]:
                endpoint.faults.extend(faults)
                model = {
                    "base_url": endpoint.base_url, "model": "tiny", "backoff_s": 0.001,
                    "cache_path": str(tmp_path / "replies.sqlite"), "price_per_million_input_usd": 1,
                    "price_per_million_output_usd": 1, **changes.pop("model", {}),
                }  # fmt: skip
                judge = {"model": {**model, "model": "judge"}}
                tried = settings(model=model, ground={"judge": judge}, max_ungenerated_fraction=1, **changes)
                return endpoint, generate(documents(TEXT, TEXT + "It is small.\n"), tried, count_words)

            yield ask

    def test_generator_and_judge_are_asked_with_a_schema_and_paid_for_once(self, served: Any) -> None:
        endpoint, made = served()
        assert {body["response_format"]["type"] for body in endpoint.bodies} == {"json_schema"}
        asked = [body["model"] for body in endpoint.bodies if "BEGIN MATERIAL" in body["messages"][-1]["content"]]
        assert Counter(asked) == {"tiny": 2, "judge": 4}
        n_asked = len(asked)
        _, again = served()
        assert again.examples.equals(made.examples)
        assert again.generations["cached"].to_pylist() == [True, True]
        asked = [body["model"] for body in endpoint.bodies if "BEGIN MATERIAL" in body["messages"][-1]["content"]]
        assert len(asked) == n_asked

    def test_budget_stops_before_more_is_spent(self, served: Any) -> None:
        with pytest.raises(BudgetExceededError):
            served(budget={"max_cost_usd": 0.0})

    def test_endpoint_that_cannot_be_reached_stops_the_run(self) -> None:
        with pytest.raises(EndpointError, match="cannot be reached"):
            generate(documents(TEXT), settings(model={**MODEL, "max_retries": 0}), count_words)
