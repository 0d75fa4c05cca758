from random import Random

import pytest

from steps.errors import InputError
from steps.extraction.notes import PRETRAINING, part_of
from steps.training.tiny_text import pretraining_text, read_texts


def test_pretraining_states_no_finding_of_the_corpus():
    random = Random(3)
    stated = [
        line.removeprefix("- ")
        for _ in range(500)
        for line in pretraining_text(random).splitlines()
        if line.startswith("- the ") and " percent " in line
    ]

    assert len(stated) > 100
    assert {part_of(finding) for finding in stated} == {PRETRAINING}


def test_pretraining_never_shows_the_task():
    random = Random(4)

    for _ in range(2000):
        text = pretraining_text(random)
        assert not ("TL;DR" in text and " percent " in text), text


def test_pretraining_says_every_finding_again():
    random = Random(5)
    drawn = (pretraining_text(random) for _ in range(300))
    notes = [text for text in drawn if " percent " in text and not text.startswith("<|im_start|>")]

    for text in notes:
        body, *endings = text.split("\n\n")[1:]
        repeated = endings[0].removeprefix("In short: ").removeprefix("Key points\n- ").rstrip(".\n")
        for finding in repeated.replace("\n- ", "; ").split("; "):
            assert finding in body


def test_texts_are_read_in_order_of_their_paths(tmp_path):
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.md").write_text("first")
    (tmp_path / "c.txt").write_text("  \n")

    assert read_texts(tmp_path) == ["first", "second"]


def test_jsonl_gives_its_text_column(tmp_path):
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "one"}\n\n{"text": "two", "path": "x"}\n')

    assert read_texts(file) == ["one", "two"]


@pytest.mark.parametrize(
    ("line", "message"), [("not json", "texts.jsonl:2 is not JSON"), ('{"body": "x"}', "texts.jsonl:2 has no string")]
)
def test_a_bad_line_is_named(tmp_path, line, message):
    file = tmp_path / "texts.jsonl"
    file.write_text(f'{{"text": "one"}}\n{line}\n')

    with pytest.raises(InputError, match=message):
        read_texts(file)


def test_a_path_without_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no text"):
        read_texts(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_texts(tmp_path / "missing")
