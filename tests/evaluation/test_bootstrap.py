import numpy as np
import pytest

from steps.evaluation.bootstrap import Sample, interval, paired_difference, sign_flip_p_value


def scores(*values: float) -> Sample:
    return Sample.of_scores(values)


def test_intervals_cover_the_true_mean_as_often_as_they_claim():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        measured = interval(Sample.of_scores(rng.random(80) < 0.3), n_resamples=400, seed=trial)
        covered += measured.low <= 0.3 <= measured.high
    assert 0.91 <= covered / 300 <= 0.99


def test_pairing_removes_the_spread_between_rows():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=200)
    a, b = Sample.of_scores(hard + 0.1), Sample.of_scores(hard)
    paired = paired_difference(a, b)
    assert paired.mean == pytest.approx(0.1)
    assert paired.high - paired.low < 1e-9
    assert interval(a).high - interval(a).low > 0.2


def test_loss_is_per_token_not_per_row():
    sample = Sample(np.array([10.0, 1.0]), np.array([100.0, 1.0]))
    assert interval(sample).mean == pytest.approx(11 / 101)


def test_loss_differences_resample_whole_rows():
    tokens = np.array([50.0, 5.0, 20.0, 100.0] * 10)
    better, worse = Sample(tokens * 0.5, tokens), Sample(tokens * 0.7, tokens)
    measured = paired_difference(better, worse)
    assert (measured.mean, measured.low, measured.high) == pytest.approx((-0.2, -0.2, -0.2))
    assert measured.n == 40


def test_a_seed_repeats_the_interval_and_another_moves_it():
    sample = Sample.of_scores(np.arange(50) % 7)
    assert interval(sample, seed=1) == interval(sample, seed=1)
    assert interval(sample, seed=1) != interval(sample, seed=2)


def test_a_wider_confidence_gives_a_wider_interval():
    sample = Sample.of_scores(np.arange(50) % 7)
    narrow, wide = interval(sample, confidence=0.8), interval(sample, confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_blocks_do_not_change_how_many_resamples_are_drawn(monkeypatch):
    sample = Sample.of_scores(np.arange(50) % 7)
    whole = interval(sample, n_resamples=333)
    monkeypatch.setattr("steps.evaluation.bootstrap._BLOCK", 700)
    assert interval(sample, n_resamples=333) == whole


def test_sign_flips_are_exact_where_few_rows_differ():
    won = scores(*[1.0] * 4, *[0.0] * 96)
    lost = scores(*[0.0] * 100)
    assert paired_difference(won, lost).low > 0  # the bootstrap alone would promote on four rows
    assert sign_flip_p_value(won, lost) == pytest.approx(1 / 16, abs=0.02)


def test_sign_flips_see_no_difference_between_equal_models():
    same = scores(*[0.0, 1.0] * 20)
    assert sign_flip_p_value(same, same) == 1


@pytest.mark.parametrize(("a", "b"), [(scores(), scores()), (scores(1.0), scores(1.0, 2.0))])
def test_samples_that_cannot_be_paired_are_refused(a, b):
    with pytest.raises(ValueError, match="cannot be resampled"):
        paired_difference(a, b)
