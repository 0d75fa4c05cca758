from itertools import pairwise
from random import Random

import pytest

from steps.extraction.notes import (
    CORPUS,
    FILLERS,
    PRETRAINING,
    bullets,
    draw_finding,
    draw_note,
    part_of,
    pretraining_text,
    titles,
)


def test_the_part_of_a_finding_never_changes():
    assert part_of("the cache cuts latency by 38 percent on long inputs") == PRETRAINING
    assert part_of("the cache cuts latency by 36 percent on long inputs") == CORPUS


@pytest.mark.parametrize("part", [PRETRAINING, CORPUS])
def test_findings_come_from_the_part_asked_for(part):
    random = Random(1)

    assert {part_of(str(draw_finding(random, part))) for _ in range(200)} == {part}


def test_both_parts_hold_about_half_of_the_world():
    random = Random(2)
    parts = [part_of(f"the cache cuts latency by {n} percent {random.random()}") for n in range(2000)]

    assert 900 < sum(parts) < 1100


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
    notes = [text for text in (pretraining_text(random) for _ in range(300)) if " percent " in text]

    for text in notes:
        body, *endings = text.split("\n\n")[1:]
        repeated = endings[0].removeprefix("In short: ").removeprefix("Key points\n- ").rstrip(".\n")
        for finding in repeated.replace("\n- ", "; ").split("; "):
            assert finding in body


def test_a_note_states_each_finding_once_about_its_own_subsystem():
    random = Random(6)
    for _ in range(200):
        note = draw_note(random, CORPUS)
        subsystems = [sentence.finding.subsystem for sentence in note.sentences if sentence.finding]
        assert len(subsystems) == len(set(subsystems)) == len(note.findings)
        assert 1 <= len(note.findings) <= 2
        assert all(note.body.count(finding) == 1 for finding in note.findings)


def test_two_fillers_never_stand_side_by_side():
    random = Random(7)
    for _ in range(300):
        kinds = [sentence.filler is not None for sentence in draw_note(random, CORPUS).sentences]
        assert any(kinds)
        assert not any(left and right for left, right in pairwise(kinds))


def test_the_same_seed_draws_the_same_note():
    assert draw_note(Random(8), CORPUS) == draw_note(Random(8), CORPUS)
    assert draw_note(Random(8), CORPUS) != draw_note(Random(9), CORPUS)


def test_the_number_of_findings_and_the_title_can_be_chosen():
    note = draw_note(Random(10), CORPUS, "Search notes, week 11", 2)

    assert note.title == "Search notes, week 11"
    assert len(note.findings) == 2


def test_titles_are_all_different():
    assert len(titles()) == len(set(titles())) == 24 * 43


def test_fillers_are_short_enough_not_to_make_thirteen_grams_alone():
    for filler in FILLERS:
        assert all(len(sentence.split()) <= 7 for sentence in filler)
        changed = [a != b for a, b in zip(filler.text.split(), filler.edited.split(), strict=True)]
        assert sum(changed) == 1


def test_bullets_make_a_markdown_list():
    assert bullets(["a", "b"]) == "- a\n- b"
