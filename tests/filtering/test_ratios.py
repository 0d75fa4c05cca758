import pytest

from steps.filtering.engine import failures_of
from steps.filtering.ratios import RatioSettings, lopsided


@pytest.fixture
def reasons(batch, row):
    def find(answer, **settings):
        found = failures_of(lopsided(batch([row(answer)]), RatioSettings(**settings)))
        return [failure.reason.value for failure in found.values()]

    return find


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("https://example.com/a/very/long/path?with=parameters&and=more " * 3, ["too_many_urls"]),
        ("3.14159 26535 89793 23846 26433 83279 50288 41971 69399 37510 58209 74944 59230 78164", ["too_many_digits"]),
        (
            "+-+-+-+-+-+ | **** | ==== | ++++ | //// | %%%% | ^^^^ | &&&& | $$$$ | #### | ~~~~ | ----",
            ["too_many_symbols"],
        ),
        ("BUY THIS NOW AND NEVER REGRET IT, SINCE THERE IS NO BETTER DEAL IN ALL OF THE WORLD", ["too_much_uppercase"]),
        ("SELECT name, age FROM people WHERE age > 30 AND city = 'Bern' ORDER BY name; -- the adults", []),
        ("12 * 12 = 144", []),
    ],
)
def test_noise_falls_while_code_and_short_answers_stay(reasons, answer, expected):
    assert reasons(answer) == expected


def test_how_short_is_short_can_be_set_and_each_measure_switched_off(reasons):
    assert reasons("12 12 144") == []
    assert reasons("12 12 144", min_characters=0) == ["too_many_digits"]
    assert reasons("12 12 144", min_characters=0, max_digit_fraction=None) == []
