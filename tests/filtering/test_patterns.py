import re

import numpy as np
import pyarrow as pa
import pytest

from steps.filtering.patterns import may_match
from steps.filtering.refusals import BOILERPLATE, REFUSAL

TEXTS = [
    "I'm\u00a0sorry, but I can’t assist\u2003with that.",
    "élan vital",
    "ends here\n",
    "№ ٣ items",
    "plain",
    "naïve_x=1",
    "[bracket]",
    "a ſ long s",
    "",
]


@pytest.mark.parametrize(
    "pattern",
    [
        r"\bélan\b",
        r"here$",
        r"\A\W*plain\Z",
        r"\d\s",
        r"[\s\w]+x",
        r"[^\w\s]+",
        r"[^\]]x",
        r"\[\w+\]",
        r"(?<!\w)s(?!\w)",
    ],
)
def test_a_widened_pattern_finds_whatever_python_finds(pattern):
    compiled = re.compile(pattern, re.IGNORECASE)
    exact = np.array([compiled.search(text) is not None for text in TEXTS])
    assert exact.any()
    assert may_match(pa.array(TEXTS), compiled)[exact].all()


@pytest.mark.parametrize("pattern", [REFUSAL, BOILERPLATE])
def test_the_built_in_patterns_are_read_by_re2_and_spare_plain_text(pattern):
    assert may_match(pa.array(["A queue holds work until a worker takes it."]), pattern).tolist() == [False]


def test_a_pattern_that_re2_cannot_read_may_be_found_anywhere():
    assert may_match(pa.array(["a", "b"]), re.compile(r"(?=a)")).tolist() == [True, True]
