import pytest
import torch

from steps.llm.sampling import Chooser, Draw

LOGITS = torch.tensor([0.5, 2.0, 1.0, 1.5])


def drawn(draws):
    """Token of each row, all with the same logits."""
    chosen = Chooser(draws)(None, LOGITS.repeat(len(draws), 1))
    assert ((chosen == 0).sum(-1) == 1).all()
    assert torch.isneginf(chosen).sum() == 3 * len(draws)
    return chosen.argmax(-1)


@pytest.mark.parametrize(
    ("temperature", "top_p", "kept"), [(1.0, 1.0, 4), (0.5, 1.0, 4), (1.0, 0.7, 2), (1.0, 0.75, 3)]
)
def test_draws_follow_the_distribution_of_the_logits(temperature, top_p, kept):
    expected = (LOGITS / temperature).softmax(-1)
    expected[expected.argsort()[: 4 - kept]] = 0
    expected /= expected.sum()
    n = 4000
    counts = drawn([Draw(temperature, top_p, str(i), 0) for i in range(n)]).bincount(minlength=4)
    assert torch.allclose(counts / n, expected, atol=4 * 0.5 / n**0.5)
    assert (counts > 0).sum() == kept


def test_a_temperature_of_0_takes_the_likeliest():
    assert drawn([Draw(0.0, 1.0, str(i), 0) for i in range(9)]).tolist() == [1] * 9


def test_a_row_draws_the_same_whatever_stands_beside_it():
    draws = [Draw(1.0, 1.0, str(i), 0) for i in range(20)]
    assert drawn(draws).tolist() == drawn(draws[::-1]).tolist()[::-1]
    assert [int(drawn([draw])) for draw in draws] == drawn(draws).tolist()


def test_probabilities_are_noted_before_temperature_and_truncation():
    class Letters:
        def decode(self, ids):
            return "abcd"[ids[0]]

    chooser = Chooser([Draw(0.1, 0.5, "x", 2), Draw(0.0, 1.0, "y", 0)])
    for _ in range(3):
        chooser(None, LOGITS.repeat(2, 1))
    notes = chooser.logprobs(0, [1, 1], Letters())
    logs = LOGITS.log_softmax(-1)
    assert len(notes) == 2, "the third token is not part of the reply"
    assert notes[0]["token"] == "b"
    assert notes[0]["logprob"] == pytest.approx(float(logs[1]))
    assert [one["token"] for one in notes[0]["top"]] == ["b", "d"]
    assert notes[0]["top"][1]["logprob"] == pytest.approx(float(logs[3]))
    assert chooser.logprobs(1, [1, 1], Letters()) == []
