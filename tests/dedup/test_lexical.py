from itertools import combinations

import numpy as np
import pytest

from steps.dedup.documents import Document, document_of
from steps.dedup.lexical import difference
from steps.dedup.marks import marks_of
from steps.dedup.opposites import OPPOSITES
from steps.dedup.quantities import numbers
from steps.dedup.semantic import SemanticSettings

#: Pairs of prompts that embeddings call alike, and what tells them apart.
APART = [
    ("pay 5 euros", "pay 7 euros", "numbers"),
    ("add 2 and 2", "add 2", "numbers"),
    ("list five uses of a brick", "list three uses of a brick", "numbers"),
    ("write twenty-one lines", "write twenty-two lines", "numbers"),
    ("is it colder at -5 degrees?", "is it colder at 5 degrees?", "numbers"),
    ("round 2.5 down", "round 25 down", "numbers"),
    ("use python 3.1", "use python 3.10", "numbers"),
    ("a rope of 5 km", "a rope of 5 miles", "numbers"),
    ("it costs $20", "it costs €20", "numbers"),
    ("a rise of 5 percent", "a rise of 5 points", "numbers"),
    ("what happened on march 3, 2021?", "what happened on march 4, 2021?", "numbers"),
    ("book a table for monday", "book a table for tuesday", "numbers"),
    ("the shop opens at 10:30", "the shop opens at 10:45", "numbers"),
    ("two million people", "two billion people", "numbers"),
    ("is it open?", "is it not open?", "only one"),
    ("reverse the list without slicing", "reverse the list", "only one"),
    ("foods that contain gluten", "foods that don't contain gluten", "only one"),
    ("which files can be deleted?", "which files cannot be deleted?", "only one"),
    ("name a bird that rarely flies", "name a bird that flies", "only one"),
    ("how do i increase the heap?", "how do i decrease the heap?", "increase"),
    ("what to do before a job interview", "what to do after a job interview", "before"),
    ("find the minimum of the array", "find the maximum of the array", "minimum"),
    ("enable two-factor login", "disable two-factor login", "enable"),
    ("sort the names in ascending order", "sort the names in descending order", "ascending"),
    ("the advantages of remote work", "the disadvantages of remote work", "advantage"),
    ("encrypt the file with a key", "decrypt the file with a key", "encrypt"),
    ("return the first item", "return the last item", "first"),
    ("is the claim true?", "is the claim false?", "true"),
    ("lists with more than ten items", "lists with fewer than ten items", "more"),
    ("a loop in python", "a loop in java", "names"),
    ("say it in french", "say it in spanish", "names"),
    ("what does os.path.join do?", "what does os.path.split do?", "names"),
    ("explain max_depth", "explain max_features", "names"),
    ("explain git log --oneline", "explain git log --graph", "names"),
    ("call load() here", "call save() here", "names"),
    ("read /etc/hosts", "read /etc/passwd", "names"),
    ('count the letters of "banana"', 'count the letters of "cherry"', "quoted"),
    ("use the word 'bright' in a sentence", "use the word 'gloomy' in a sentence", "quoted"),
    ("rhyme with `cat`", "rhyme with `house`", "quoted"),
]  # fmt: skip

#: Paraphrases, which must not be told apart.
TOGETHER = [
    ("list 5 uses of a brick", "name five uses of a brick"),
    ("a prize of 1,000 dollars", "a prize of $1000"),
    ("what happened on 2021-03-04?", "what took place on march 4th, 2021?"),
    ("a rise of five percent", "a rise of 5%"),
    ("5 km by bike", "five kilometers by bicycle"),
    ("it is minus five degrees", "it is -5 degrees"),
    ("2.5 million people", "2500000 people"),
    ("a dozen eggs", "12 eggs"),
    ("not only cheap", "cheap"),
    ("do not pay 5 or 6", "never pay 6 or 5"),
    ("why isn't it open?", "why is it not open?"),
    ("how do i increase the heap?", "how can the heap be raised?"),
    ("how do i increase the heap?", "how do i make the heap bigger?"),
    ("from the minimum to the maximum", "between the maximum and the minimum"),
    ("what does `os.path.join` do?", "explain what os.path.join() does."),
    ("this one is the right one", "that is the right thing"),
    ('translate "good morning" for me', "please translate good morning for me"),
    ("explain how personalization works in llms.", "explain how llms can be personalized."),
    ("reverse a string in python", "write python code that reverses a string"),
    ("the well-known pages 1-5", "pages 1 to 5, which are well known"),
]  # fmt: skip


def prompt(text, answer=""):
    return Document(text, answer, "")


@pytest.mark.parametrize(("left", "right", "reason"), APART)
def test_a_pair_that_differs_in_what_embeddings_overlook_is_kept_apart(left, right, reason):
    for one, other in ((left, right), (right, left)):
        assert reason in difference(prompt(one), prompt(other), SemanticSettings())


@pytest.mark.parametrize(("left", "right"), TOGETHER)
def test_a_paraphrase_is_not_kept_apart(left, right):
    for one, other in ((left, right), (right, left)):
        assert difference(prompt(one), prompt(other), SemanticSettings()) is None


def test_answers_are_compared_too():
    settings = SemanticSettings(min_answer_overlap=None)
    for left, right, reason in (
        ("it is 5 metres", "it is 6 metres", "numbers differ in the answer: 5 m, 6 m"),
        ("it works", "it doesn't work", 'only one answer holds "n\'t"'),
        ("it raises the load", "it reduces the load", "one answer holds 'increase' where the other holds 'decrease'"),
    ):
        assert difference(prompt("say", left), prompt("say", right), settings) == reason
    # The variables of an answer are incidental.
    assert difference(prompt("say", "set max_depth"), prompt("say", "set max_width"), settings) is None


def test_numbers_stand_in_their_part():
    left, right = prompt("page 3", "4"), prompt("page 4", "3")
    assert difference(left, right, SemanticSettings()) == "numbers differ in the instruction: 3, 4"


def test_other_answers_to_one_question_are_kept_apart():
    left, right = prompt("tell a story", "a fox ran off"), prompt("tell a story", "some queens met")
    assert difference(left, right, SemanticSettings()) == "answers share 0.00 of their words"
    assert difference(left, right, SemanticSettings(min_answer_overlap=0.0)) is None
    assert difference(left, right, SemanticSettings(min_answer_overlap=None)) is None


@pytest.mark.parametrize(
    ("option", "left", "right"),
    [
        ("protect_numbers", "pay 5", "pay 7"),
        ("protect_negations", "do", "do not"),
        ("protect_opposites", "before it", "after it"),
        ("protect_names", "explain max_depth", "explain max_width"),
        ("protect_names", "rhyme with 'cat'", "rhyme with 'house'"),
    ],
)
def test_each_rule_can_be_switched_off(option, left, right):
    assert difference(prompt(left), prompt(right), SemanticSettings())
    assert difference(prompt(left), prompt(right), SemanticSettings(**{option: False})) is None


def test_the_compiled_guard_decides_as_the_worded_one():
    from steps.kernels.projection import apart

    texts = sorted({text for pair in (*APART, *TOGETHER) for text in pair[:2]})[::2]
    answers = ["", "it is 5 metres", "it is not 5 metres", "some queens met"]
    documents = [prompt(text, answers[number % 4]) for number, text in enumerate(texts)]
    documents += [prompt("one"), prompt("one", "more"), prompt("one", "less")]
    for overlap in (None, 0.0, 0.2, 1.0):
        settings = SemanticSettings(min_answer_overlap=overlap)
        marks = marks_of(documents, settings)
        for left, right in combinations(range(len(documents)), 2):
            expected = difference(documents[left], documents[right], settings) is not None
            assert bool(apart(marks, left, right)) == expected, (documents[left], documents[right])


def test_marks_of_rules_that_are_off_are_zero():
    off = {f"protect_{rule}": False for rule in ("numbers", "negations", "opposites", "names")}
    marks = marks_of([prompt("not 5 before max_depth 'a'")], SemanticSettings(min_answer_overlap=None, **off))
    assert not np.any(marks.codes)
    assert marks.quoted.offsets.tolist() == [0, 0]


def test_opposites_fit_the_bits_of_a_mask_and_no_word_is_its_own_contrary():
    assert len(OPPOSITES) <= 64
    for positive, negative in OPPOSITES:
        assert not set(positive.split()) & set(negative.split())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("this one, that one", []),
        ("one km", ["1 km"]),
        ("two hundred and five thousand", ["205000"]),
        ("1,234,567.80", ["1234567.80"]),
        ("x=-3 and 1-5 and (4)-2", ["-3", "1", "5", "4", "2"]),
        ("lower by .5", ["0.5"]),
        ("3 degrees fahrenheit, 4°c, 5 c", ["3 f", "4 c", "5 c"]),
        ("a 5-year plan", ["5 year"]),
        ("the 2nd and the third", ["2", "3"]),
        ("2024/01/05, 5 jan 2024 and january 5", ["2024-1-5", "2024-1-5", "?-1-5"]),
        ("2.5 thousand, 2.0005 thousand", ["2500", "2.0005 thousand"]),
        ("version 1.2.3", ["1.2.3"]),
        ("may march on", []),
    ],
)
def test_numbers_have_one_spelling(text, found):
    assert sorted(numbers(text)) == sorted(found)


def test_normalised_rows_keep_what_the_guard_reads():
    turns = [{"role": "user", "content": "Pay −5 €  to\n“Ann”"}, {"role": "assistant", "content": "Yes"}]
    other = [{"role": "user", "content": "Pay 5 €  to\n“Ann”"}, {"role": "assistant", "content": "Yes"}]
    assert "numbers" in difference(document_of(turns), document_of(other), SemanticSettings())


def test_rows_that_are_not_compared_have_empty_marks():
    documents = [prompt("pay 5 to 'ann'", "yes"), prompt("pay 6 to 'bob'", "no"), prompt("pay ann", "yes")]
    whole, part = (
        marks_of(documents, SemanticSettings()),
        marks_of(documents, SemanticSettings(), np.array([True, False, True])),
    )
    assert (part.codes[[0, 2]] == whole.codes[[0, 2]]).all()
    assert not part.codes[1].any()
    assert np.diff(part.answers.offsets).tolist() == [1, 0, 1]
    assert np.diff(part.asked.offsets).tolist() == [1, 0, 1]
