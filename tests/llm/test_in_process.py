"""With models of ten thousand weights: one untrained, whose tokens are as good as random, one that learnt a reply."""

import threading

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from steps.chat.model import load
from steps.chat.render import encode_prompt
from steps.chat.template import TEMPLATES, install
from steps.errors import BudgetExceededError, InputError
from steps.llm.budget import Budget, BudgetSettings, Spend
from steps.llm.cache import ReplyCache
from steps.llm.in_process import InProcessClient, InProcessSettings
from steps.llm.models import open_client
from steps.llm.request import ChatRequest, Failed, with_schema
from tests.chat.conftest import bare_tokenizer

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["score"],
}
PROMPTS = ["Name a colour.", "Hi", "Another one, and quite a bit longer than the others?", "user"]


def build(directory, seed=0):
    tokenizer = bare_tokenizer()
    install(tokenizer, TEMPLATES["chatml"])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=640,
                tie_word_embeddings=True,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                initializer_range=0.3,
            )
        )
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return model, tokenizer


def teach(model, tokenizer, prompts, answer):
    """Let the model learn one answer to some prompts, by heart."""
    ends = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    reply = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(60):
        prompt = ends[step % len(ends)]
        logits = model(torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(reply))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


@pytest.fixture(scope="module")
def random_model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("random")
    build(directory)
    return directory


@pytest.fixture(scope="module")
def grader(tmp_path_factory):
    directory = tmp_path_factory.mktemp("grader")
    model, tokenizer = build(directory)
    teach(model, tokenizer, [with_schema(ask(text).messages, SCHEMA) for text in PROMPTS], '{"score": 4}')
    model.save_pretrained(directory)
    return directory


def ask(text, sample=0, **more):
    return ChatRequest([{"role": "user", "content": text}], sample=sample, **more)


def client_of(model, tmp_path, budget=None, **changes):
    settings = InProcessSettings(
        **{"type": "transformers", "model": str(model), "max_tokens": 12, "device": "cpu"}
        | {"cache_path": str(tmp_path / "replies.sqlite")}
        | changes
    )
    return InProcessClient(settings, budget)


def texts(replies):
    return [reply.text for reply in replies]


def test_a_greedy_reply_is_that_of_single_forward_passes_in_the_order_of_the_requests(random_model, tmp_path):
    loaded = load(random_model)
    expected = []
    for prompt in PROMPTS:
        ids = start = encode_prompt(loaded.tokenizer, ask(prompt).messages)
        with torch.inference_mode():
            for _ in range(12):
                ids = [*ids, int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax())]
        expected.append(loaded.tokenizer.decode(ids[len(start) :], skip_special_tokens=True))
    replies = client_of(random_model, tmp_path, batch_size=3).complete_all([ask(prompt) for prompt in PROMPTS])
    # Nothing ends these: each is cut off, asked for once more with twice the tokens, and cut off again.
    assert all(reply.text.startswith(start) for reply, start in zip(replies, expected, strict=True))
    assert {reply.failure for reply in replies} == {Failed.TRUNCATED_REPLY}
    assert [(reply.finish_reason, reply.attempts, reply.completion_tokens) for reply in replies] == [
        ("length", 2, 36)
    ] * 4


def test_a_sample_depends_on_its_own_seed_and_not_on_its_batch(random_model, tmp_path):
    requests = [ask(prompt, sample) for prompt in PROMPTS for sample in range(3)]
    options = {"temperature": 1.0, "cache_path": None}
    state = torch.get_rng_state()
    first = texts(client_of(random_model, tmp_path, **options).complete_all(requests))
    assert torch.equal(state, torch.get_rng_state())
    assert len(set(first)) == len(requests)
    assert texts(client_of(random_model, tmp_path, batch_size=2, **options).complete_all(requests[::-1])) == first[::-1]
    other = client_of(random_model, tmp_path, seed=8, **options).complete_all(requests)
    assert not set(texts(other)) & set(first)


def test_a_small_top_p_leaves_the_likeliest_token(random_model, tmp_path):
    greedy = client_of(random_model, tmp_path, cache_path=None).complete_all([ask("Hi")])
    nucleus = client_of(random_model, tmp_path, cache_path=None, temperature=1.0, top_p=1e-6).complete_all([ask("Hi")])
    assert texts(nucleus) == texts(greedy)


def test_a_graded_reply_satisfies_the_schema_and_reports_its_tokens(grader, tmp_path):
    requests = [ask(prompt, schema=SCHEMA, top_logprobs=3) for prompt in PROMPTS]
    budget = Budget()
    replies = client_of(grader, tmp_path, budget).complete_all(requests)
    assert [(reply.text, reply.error, reply.attempts) for reply in replies] == [('{"score": 4}', None, 1)] * 4
    tokenizer = load(grader).tokenizer
    n_reply = len(tokenizer.encode('{"score": 4}')) + 1
    for request, reply in zip(requests, replies, strict=True):
        prompt = encode_prompt(tokenizer, with_schema(request.messages, SCHEMA))
        assert (reply.prompt_tokens, reply.completion_tokens) == (len(prompt), n_reply)
        assert (reply.finish_reason, reply.cost_usd, reply.cached) == ("stop", 0.0, False)
        assert "".join(entry["token"] for entry in reply.logprobs) == '{"score": 4}', "without the end of the turn"
        for entry in reply.logprobs:
            assert entry["top"][0] == {"token": entry["token"], "logprob": entry["logprob"]}
            assert [one["logprob"] for one in entry["top"]] == sorted(
                (o["logprob"] for o in entry["top"]), reverse=True
            )
            assert len(entry["top"]) == 3
    assert budget.spent_tokens == sum(reply.prompt_tokens + reply.completion_tokens for reply in replies)
    assert budget.spent_usd == 0


def test_replies_are_kept_and_the_model_is_not_even_loaded_for_them(grader, tmp_path):
    requests = [ask(prompt, schema=SCHEMA) for prompt in PROMPTS]
    first = client_of(grader, tmp_path).complete_all([*requests, requests[0]])
    assert [reply.cached for reply in first] == [False] * 4 + [True]
    again = client_of(grader, tmp_path, batch_size=1, max_tokens=99)
    assert [reply._replace(cached=False) for reply in again.complete_all(requests)] == first[:4]
    assert again._model.loaded is None


def test_a_model_trained_anew_in_the_same_folder_is_asked_anew(tmp_path):
    model, tokenizer = build(tmp_path / "model")
    client_of(tmp_path / "model", tmp_path).complete_all([ask("Hi")])
    teach(model, tokenizer, [ask("Hi").messages], "Yes")
    model.save_pretrained(tmp_path / "model")
    (reply,) = client_of(tmp_path / "model", tmp_path).complete_all([ask("Hi")])
    assert (reply.text, reply.cached) == ("Yes", False)
    (moved,) = client_of((tmp_path / "model").rename(tmp_path / "moved"), tmp_path).complete_all([ask("Hi")])
    assert moved.cached


def test_a_reply_that_is_cut_off_is_asked_for_once_more_and_both_are_on_the_bill(grader, tmp_path):
    n_reply = len(load(grader).tokenizer.encode('{"score": 4}')) + 1
    (reply,) = client_of(grader, tmp_path, max_tokens=n_reply - 1).complete_all([ask("Hi", schema=SCHEMA)])
    assert (reply.text, reply.error, reply.attempts) == ('{"score": 4}', None, 2)
    assert reply.completion_tokens == 2 * n_reply - 1


def test_a_reply_that_misses_the_schema_is_asked_for_once_more_and_never_kept(grader, tmp_path):
    strict = {**SCHEMA, "properties": {"score": {"type": "integer", "maximum": 3}}}
    (reply,) = client_of(grader, tmp_path, max_tokens=30).complete_all([ask("Hi", schema=strict)])
    assert reply.attempts == 2
    assert reply.error is not None
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert len(cache) == 0


def test_a_prompt_without_room_is_a_reply_with_its_error_and_the_others_are_answered(grader, tmp_path):
    long, other, good = client_of(grader, tmp_path).complete_all(
        [ask("é" * 400), ChatRequest([{"role": "robot", "content": "x"}]), ask("Hi", schema=SCHEMA)]
    )
    assert (long.failure, long.attempts) == (Failed.REQUEST_REFUSED, 0)
    assert "leaves no room" in long.error
    assert "'robot'" in other.error
    assert good.error is None


def test_a_long_prompt_gets_the_rest_of_the_context(random_model, tmp_path):
    (reply,) = client_of(random_model, tmp_path, max_tokens=500).complete_all([ask("é" * 303)])
    assert reply.prompt_tokens > 606, "two tokens for each character"
    assert reply.prompt_tokens + reply.completion_tokens == 640
    assert (reply.failure, reply.attempts) == (Failed.TRUNCATED_REPLY, 1), "more tokens do not fit either"


def test_the_run_stops_at_the_token_cap_with_all_before_it_kept(grader, tmp_path):
    requests = [ask(prompt, schema=SCHEMA) for prompt in PROMPTS]
    tokens = [
        r.prompt_tokens + r.completion_tokens
        for r in client_of(grader, tmp_path, cache_path=None).complete_all(requests)
    ]
    limit = sum(sorted(tokens)[:2]) + 5
    with pytest.raises(BudgetExceededError, match=f"budget.max_tokens={limit}"):
        client_of(grader, tmp_path, Budget(BudgetSettings(max_tokens=limit))).complete_all(requests)
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert len(cache) == 2
    rest = Budget()
    assert [r.error for r in client_of(grader, tmp_path, rest).complete_all(requests)] == [None] * 4
    assert rest.spent_tokens == sum(sorted(tokens)[2:])


def test_a_shared_budget_makes_a_client_wait_for_what_is_on_its_way(grader, tmp_path):
    budget = Budget(BudgetSettings(max_tokens=1000))
    on_its_way = Spend(0.0, 900)
    assert budget.reserve(on_its_way)
    threading.Timer(0.3, budget.settle, [on_its_way, Spend(0.0, 0)]).start()
    (reply,) = client_of(grader, tmp_path, budget).complete_all([ask("Hi", schema=SCHEMA)])
    assert reply.error is None


def test_a_template_off_the_shelf_takes_a_conversation_with_earlier_replies(tmp_path):
    _, tokenizer = build(tmp_path / "model")
    for marker in ("{% generation %}", "{% endgeneration %}", "{%- generation %}", "{%- endgeneration %}"):
        tokenizer.chat_template = tokenizer.chat_template.replace(marker, "")
    assert "generation %}" not in tokenizer.chat_template
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path / "model")
    shots = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Name a colour."},
        {"role": "assistant", "content": "Blue."},
        {"role": "user", "content": "Another one?"},
    ]
    (reply, _) = client_of(tmp_path / "model", tmp_path).complete_all([ChatRequest(shots), ask("Hi")])
    assert reply.completion_tokens > 0


def test_a_folder_without_a_model_is_refused_with_its_name(tmp_path):
    client = open_client(InProcessSettings(type="transformers", model=str(tmp_path), cache_path=None))
    with pytest.raises(InputError, match="no loadable tokenizer"):
        client.complete_all([ask("Hi")])
