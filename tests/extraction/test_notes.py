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
    titles,
)


def test_the_part_of_a_finding_never_changes():
    assert part_of("the cache now cuts its latency by 13 percent on long inputs") == PRETRAINING
    assert part_of("the cache now cuts its latency by 10 percent on long inputs") == CORPUS


@pytest.mark.parametrize("part", [PRETRAINING, CORPUS])
def test_findings_come_from_the_part_asked_for(part):
    random = Random(1)

    assert {part_of(str(draw_finding(random, part))) for _ in range(200)} == {part}


def test_both_parts_hold_about_half_of_the_world():
    random = Random(2)
    parts = [part_of(f"the cache now cuts its latency by {n} percent {random.random()}") for n in range(2000)]

    assert 900 < sum(parts) < 1100


def test_the_findings_of_a_note_differ_in_every_slot():
    random = Random(6)
    for _ in range(200):
        note = draw_note(random, CORPUS)
        findings = [sentence.finding for sentence in note.sentences if sentence.finding]
        assert 1 <= len(findings) <= 2
        assert all(note.body.count(str(finding)) == 1 for finding in findings)
        assert all(len(set(slot)) == len(findings) for slot in zip(*findings, strict=True))


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
        assert all(len(sentence.split()) <= 5 for sentence in filler)
        changed = [a != b for a, b in zip(filler.text.split(), filler.edited.split(), strict=True)]
        assert sum(changed) == 1


def test_bullets_make_a_markdown_list():
    assert bullets(["a", "b"]) == "- a\n- b"
