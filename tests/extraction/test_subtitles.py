import pytest

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.subtitles import read_subtitles

TALK = """WEBVTT

NOTE nobody says this

1
00:01.000 --> 00:02.000 align:left
<v Ann>We ship
on <i>Monday</i>.

00:02.000 --> 00:03.000
<v.loud Ann>All of it.

00:03.000 --> 00:04.000
<v Bob>Fine.
"""


def test_cues_of_one_speaker_are_one_paragraph_with_its_time() -> None:
    found = read_subtitles(TALK.encode())
    assert found.text == "Ann: We ship on *Monday*. All of it.\n\nBob: Fine."
    assert [(place.label, found.text[place.start :][:3]) for place in found.offset_map] == [
        ("00:01.000", "Ann"),
        ("00:03.000", "Bob"),
    ]


def test_numbered_cues_with_commas_are_read_as_well() -> None:
    assert read_subtitles(b"1\r\n00:00:01,000 --> 00:00:02,000\r\nHello.\r\n\r\n").text == "Hello."


def test_subtitles_without_a_cue_have_a_reason() -> None:
    with pytest.raises(UnusableError) as caught:
        read_subtitles(b"WEBVTT\n\nNOTE only this")
    assert caught.value.reason == ExtractDrop.NO_TEXT_IN_FILE
