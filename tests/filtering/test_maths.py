import pytest

from steps.filtering.maths import MathsSettings, broken_maths


@pytest.fixture
def details(row, batch):
    def run(answer, **settings):
        outcome = broken_maths(batch([row(answer)]), MathsSettings(**settings))
        return [(failure.reason.value, failure.detail) for failure in outcome.failures]

    return run


@pytest.mark.parametrize(
    "answer",
    [
        r"So \(x = 1\) and \[ y^2 = \frac{1}{2} \] hold.",
        r"$$\sum_{i=1}^n i$$ and $\alpha_{1}$",
        r"\begin{align} x &= 1 \\[2pt] y &= 2 \end{align}",
        r"\left( \frac{a}{b} \right) and \left. x \right|",
        r"\boxed{42} and \sqrt[3]{8}",
        r"set $\{1, 2\}$, escaped \{ brace",
        "It costs $5, or $6 with {braces.",
        r"`\(` opens, and ```" + "\n\\begin{x}\n```",
        r"the pattern \[Base|Instruct]** is a link",
        "<<48/2=24>>24 and cout << x; 1 << 3 = 8",
        "$$$ means expensive, and $$day == 1 is a typo",
        r"\rightarrow is no \right, \leftarrow no \left",
    ],
)
def test_whole_formulas_pass(details, answer):
    assert details(answer) == []


@pytest.mark.parametrize(
    ("answer", "reason", "part"),
    [
        (r"so \(x^2 is", "unbalanced_maths", r"\( never closes"),
        (r"\[ x^2 \)", "unbalanced_maths", r"\) does not fit"),
        (r"x^2 \) is", "unbalanced_maths", r"\) does not fit"),
        (r"$$\frac{1}{2}", "unbalanced_maths", "$$ never closes"),
        (r"$\frac{1}{2$ is", "unbalanced_maths", "unbalanced braces"),
        (r"\(\frac{1}}{2}\)", "unbalanced_maths", "unbalanced braces"),
        (r"the answer is \boxed{42", "unbalanced_maths", r"\boxed{42 never closes"),
        (r"\begin{align} x", "unbalanced_maths", r"\begin{align} never ends"),
        (r"\begin{align} x \end{align*}", "unbalanced_maths", r"\end{align*} without"),
        (r"\left( x", "unbalanced_maths", r"1 \left and 0 \right"),
        ("He has <<2+3=5>5 apples", "broken_calculation", "never closes"),
    ],
)
def test_formulas_that_are_not_whole_fall(details, answer, reason, part):
    ((found, detail),) = details(answer)
    assert found == reason
    assert part in detail


def test_each_check_can_be_switched_off(details):
    answer = r"<<1+1=2> \begin{a} \(x^2 $\frac{1$"
    off = dict.fromkeys(MathsSettings.model_fields, False)
    assert details(answer, **off) == []
    for name in off:
        assert len(details(answer, **{**off, name: True})) == 1, name
