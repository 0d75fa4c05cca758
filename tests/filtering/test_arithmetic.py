import json
import random
import re
from pathlib import Path

import pytest

from steps.filtering.arithmetic import ArithmeticSettings, wrong_arithmetic, wrong_sums
from steps.filtering.equations import equations

SETTINGS = ArithmeticSettings()


def wrong(text, **settings):
    return [str(found) for found in wrong_sums(text, ArithmeticSettings(**settings))]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("So 12*4 = 46.", "12*4 = 46, is 48"),
        ("<<48/2=25>>25 clips", "<<48/2=25>>, is 24"),
        ("He has <<20=17>>20", "<<20=17>>, is 20"),
        ("It costs $5 x 3 = $16 in all", "$5 x 3 = $16, is 15"),
        ("**2 + 2 = 5**", "2 + 2 = 5, is 4"),
        ("1,000 + 250 = 1,350", "1,000 + 250 = 1,350, is 1250"),
        ("x = 3 * 4 = 13", "3 * 4 = 13, is 12"),
        ("(3 + 4) × 2 = 15", "(3 + 4) × 2 = 15, is 14"),
        ("10 / 3 = 3.43", "10 / 3 = 3.43, is 3.33333"),
        ("20% * 50 = 11", "20% * 50 = 11, is 10"),
        ("2 * 3 + 4 = 6 + 5 = 11", "2 * 3 + 4 = 6 + 5, is 10"),
        ("100 / 3 ≈ 40", "100 / 3 ≈ 40, is 33.3333"),
        ("3/4 of 20 is 16.", "3/4 of 20 is 16, is 15"),
        ("20% of 50 = 12", "20% of 50 = 12, is 10"),
        ("a total of 4 x 15 = 57 decorations", "4 x 15 = 57, is 60"),
        ("18 red marbles + 4 marbles = 23 marbles", "18 red marbles + 4 marbles = 23, is 22"),
        ("that's 20*3 = $61", "20*3 = $61, is 60"),
        ("(so 3 + 4 = 8)", "3 + 4 = 8, is 7"),
        ("2) 7 - 9 = 2", "7 - 9 = 2, is -2"),
        ("1. 6 ÷ 4 = 2.5", "6 ÷ 4 = 2.5, is 1.5"),
    ],
)
def test_wrong_sums_are_shown_with_what_they_come_to(text, detail):
    assert wrong(text) == [detail]


@pytest.mark.parametrize(
    "text",
    [
        "12 * 4 = 48 and <<48/2=24>>24",
        "10 / 3 = 3.33, 2 / 3 = 0.67, 2/3 = 0.66, 10 / 3 = 3",
        "1/3 ≈ 0.3 and 22 / 7 = about 3.1",
        "100 * 1.5% = 1.5; 2/5 = 40%; 2/5 * 100 = 40%",
        "50 + 10% = 55",
        "25 / 1/3 = 75",
        "$1 / 4 = 25 cents",
        "5 * 3 = 15 - 2 = 13",
        "5 * 3 = 15 - which is odd",
        "2x + 3 = 7, so x = 2",
        "f(3) + 1 = 9",
        "x^2 + 3 = 5",
        "17 mod 5 + 1 = 4",
        "log 8 + 2 = 5",
        "half of 3 + 5 = 4",
        "1011 + 1 = 1100, 10 + 10 = 100",
        "9 + 4 = 1 (mod 12)",
        "Week 2 = 35 + 35",
        "pages 1-2 = 96",
        "2020-2021 = a hard year",
        "10:30 - 9:00 = 1:30",
        "0930 - 0830 = 0100 hours",
        "3 * 4 = 12 million",
        "3 million + 4 = 7",
        "7 / 2 = 3 remainder 1, 7 / 2 = 3 r 1",
        "`2 + 2 = 5`\n```\n2 + 2 = 5\n```",
        "It is wrong that 2 + 2 = 5.",
        "2 + 2 = 5 is a mistake.",
        "version 1.2.3 = 4",
        "a[2] + 1 = 5, 2 + 1 == 5, 2 + 3 => 7, 2 + 3 >= 4",
        "2 1/2 + 1 = 3 1/2",
        "5! = 120, 3 + 2! = 9",
        "2 apples + 3 pears = $4, 2 pizzas = 2 * 10, 3 feet * 12 = 40 inches, 1 hour + 30 minutes = 90",
        "60 miles / 20 miles/hour = 4, 9 because - 18/-2 = 9",
        "$100+($100*(10/100) = $110",
        "20 / 240 = 8.333...%",
        "14, 400 / 80 = 180",
        "10 pages on day 1 * 2 = 20",
        "It loses 5 thousand dollars a day, so 5 * 3 = $15,000.",
        "75 + 10% of 150 = 75 + 15",
        "1/2 of 10 is 3 more than 2",
        "9" * 30 + " + 1 = 2",
        "2^100000 = 3",
        "1 / 0 = 5",
    ],
)
def test_what_is_right_or_can_be_read_otherwise_passes(text):
    assert wrong(text) == []


def test_each_form_can_be_switched_off():
    text = "<<1+1=3>>3, 2 + 2 = 5, 1/2 of 10 is 6"
    assert len(wrong(text)) == 3
    assert len(wrong(text, check_annotations=False)) == 2
    assert len(wrong(text, check_annotations=False, check_equations=False)) == 1
    assert wrong(text, check_annotations=False, check_equations=False, check_parts=False) == []


def test_tolerances_are_shares_of_the_true_value():
    assert len(wrong("10 * 10 = 101")) == 1
    assert wrong("10 * 10 = 101", relative_tolerance=0.01) == []
    assert len(wrong("10 * 10 ≈ 104", approximate_tolerance=0.0)) == 1
    assert wrong("10 * 10 ≈ 104") == []


def test_rows_fall_by_what_the_answer_says_and_not_by_what_the_user_wrote(row, batch):
    rows = [
        row("2 + 2 = 5"),
        row("You claim that 2+2 = 5. It comes to 4.", prompt="Is 2 + 2 = 5?", position=1),
        row("Right: 2 + 2 = 4", prompt="Is 1 + 1 = 3?", position=2),
    ]
    (failure,) = wrong_arithmetic(batch(rows), SETTINGS).failures
    assert failure == (0, "wrong_arithmetic", 4.0, "2 + 2 = 5, is 4")


def test_equations_are_found_in_linear_time():
    hostile = "1 + ( " * 20_000 + "= 2\n" + "= " * 20_000 + "1" * 50_000 + " = " + "(((1" * 5_000
    assert list(equations(hostile)) == []


@pytest.mark.real_data
def test_nearly_no_solution_of_gsm8k_falls_and_nearly_every_corrupted_one_does(real_data: Path) -> None:
    lines = (real_data / "gsm8k-train/train.jsonl").read_text().splitlines()
    answers = [json.loads(line)["answer"] for line in lines[::2]]
    failing = [answer for answer in answers if any(wrong_sums(answer, SETTINGS))]
    assert 5 <= len(failing) <= 16  # as written, these sums do not hold; see the results of the benchmark
    generator = random.Random(0)
    found = total = 0
    for answer in answers[:1000]:
        results = list(re.finditer(r"=(\d+)>>", answer))
        if results and answer not in failing:
            result = generator.choice(results)
            changed = str(int(result[1]) + generator.choice([-3, -2, 2, 3, 10]))
            total += 1
            found += any(wrong_sums(answer[: result.start(1)] + changed + answer[result.end(1) :], SETTINGS))
    assert found / total > 0.97
