import math

import pytest
import torch
from pydantic import ValidationError

from steps.chat.generation import GenerationSettings, generate, held_out_loss, stream
from steps.chat.model import load
from steps.chat.render import IGNORED, encode, encode_prompt
from steps.errors import InputError

PROMPTS = [
    [{"role": "user", "content": "Name a colour."}],
    [{"role": "user", "content": "Hi"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Another one?"}],
]
GREEDY = GenerationSettings(max_new_tokens=12, batch_size=3)


def greedy_by_hand(loaded, prompt, n):
    ids = encode_prompt(loaded.tokenizer, prompt)
    for _ in range(n):
        token = int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax())
        ids.append(token)
        if token == loaded.tokenizer.eos_token_id:
            break
    return loaded.tokenizer.decode(ids[len(encode_prompt(loaded.tokenizer, prompt)) :], skip_special_tokens=True)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_greedy_answers_are_those_of_single_forward_passes_in_the_order_of_the_prompts(model_dir, batch_size):
    loaded = load(model_dir)
    answers = generate(loaded, PROMPTS, GREEDY.model_copy(update={"batch_size": batch_size}))
    with torch.inference_mode():
        assert [answer[0].text for answer in answers] == [greedy_by_hand(loaded, p, 12) for p in PROMPTS]


def test_an_answer_ends_at_its_end_of_turn_token(model_dir):
    model, tokenizer = load(model_dir)
    (free,) = generate((model, tokenizer), PROMPTS[:1], GREEDY)
    assert (free[0].stopped, free[0].n_tokens) == (False, 12)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, first_id(model, tokenizer, PROMPTS[0])]
    cut, goes_on = generate((model, tokenizer), PROMPTS[:2], GREEDY)
    assert (cut[0].stopped, cut[0].n_tokens) == (True, 1)
    assert goes_on[0].n_tokens > 1  # so that padding followed the first answer


def first_id(model, tokenizer, prompt):
    with torch.inference_mode():
        return int(model(torch.tensor([encode_prompt(tokenizer, prompt)])).logits[0, -1].argmax())


def test_a_prompt_without_room_for_the_answer_comes_back_with_an_error(model_dir):
    long = [{"role": "user", "content": "colour " * 90}]
    answers = generate(model_dir, [long, PROMPTS[0]], GREEDY)
    assert "exceeds the model's context of 96" in answers[0][0].error
    assert answers[0][0].text == ""
    assert answers[1][0].error is None


def test_samples_follow_the_seed_and_leave_the_global_random_state_alone(model_dir):
    settings = GenerationSettings(max_new_tokens=8, temperature=1.0, samples_per_prompt=3, seed=1)
    state = torch.get_rng_state()
    first = generate(model_dir, PROMPTS, settings)
    assert torch.equal(state, torch.get_rng_state())
    assert first == generate(model_dir, PROMPTS, settings)
    assert first != generate(model_dir, PROMPTS, settings.model_copy(update={"seed": 2}))
    assert len({answer.text for answer in first[0]}) > 1


def test_the_model_s_own_decoding_options_have_no_effect(model_dir):
    model, tokenizer = load(model_dir)
    plain = generate((model, tokenizer), PROMPTS, GREEDY)
    model.generation_config.repetition_penalty = 5.0
    assert generate((model, tokenizer), PROMPTS, GREEDY) == plain
    assert model.generation_config.repetition_penalty == 5.0


def test_several_greedy_samples_are_refused():
    with pytest.raises(ValidationError, match="temperature"):
        GenerationSettings(samples_per_prompt=2)


def test_a_stream_says_what_generate_says(model_dir):
    pieces = list(stream(model_dir, PROMPTS[0], GREEDY))
    assert "".join(pieces) == generate(model_dir, PROMPTS[:1], GREEDY)[0][0].text


def test_a_stream_can_be_abandoned(model_dir):
    answer = stream(model_dir, PROMPTS[0], GenerationSettings(max_new_tokens=60))
    next(answer)
    answer.close()


def test_a_stream_refuses_a_prompt_that_does_not_fit(model_dir):
    with pytest.raises(InputError, match="context of 96"):
        list(stream(model_dir, [{"role": "user", "content": "colour " * 90}], GREEDY))


def test_held_out_loss_sums_over_the_trained_tokens_only(model_dir):
    loaded = load(model_dir)
    conversations = [
        [*PROMPTS[0], {"role": "assistant", "content": "It is blue."}],
        [*PROMPTS[1], {"role": "assistant", "content": "Ok"}, *PROMPTS[0], {"role": "assistant", "content": "Red."}],
    ]
    for row, conversation in zip(held_out_loss(loaded, conversations, batch_size=2), conversations, strict=True):
        encoded = encode(loaded.tokenizer, conversation)
        with torch.inference_mode():
            logs = loaded.model(torch.tensor([encoded.input_ids])).logits[0].log_softmax(-1)
        trained = [(i, label) for i, label in enumerate(encoded.labels) if label != IGNORED]
        assert row.n_tokens == len(trained)
        assert row.total_nll == pytest.approx(-sum(float(logs[i - 1, label]) for i, label in trained), rel=1e-4)


def test_rows_without_a_loss_say_why(model_dir):
    rows = held_out_loss(
        model_dir,
        [PROMPTS[0], [{"role": "robot", "content": ""}], [{"role": "user", "content": "colour " * 99}]],
    )
    assert [row.n_tokens for row in rows] == [0, 0, 0]
    assert "no assistant turn" in rows[0].error
    assert "'robot'" in rows[1].error
    assert "exceed the model's context" in rows[2].error
    assert not any(math.isnan(row.total_nll) for row in rows)


def test_a_directory_without_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no loadable tokenizer"):
        load(tmp_path)
