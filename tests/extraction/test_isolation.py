from pathlib import Path

import pytest

from steps.extraction.isolation import FileRequest, Outcome, ReadLimits, read_files
from steps.extraction.reasons import ExtractDrop, UnusableError

READER = "tests.extraction.hostile_readers:read"
LIMITS = ReadLimits(timeout_s=20, memory_mib=256, max_text_mb=2, workers=2)


def outcomes(folder: Path, *orders: str, limits: ReadLimits = LIMITS) -> list[Outcome]:
    files = []
    for number, order in enumerate(orders):
        files.append(folder / f"{number}.txt")
        files[-1].write_text(order)
    found = list(read_files(files, limits, READER))
    assert [file for file, _ in found] == files
    return [outcome for _, outcome in found]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("exit", ExtractDrop.READER_CRASHED),
        ("segfault", ExtractDrop.READER_CRASHED),
        ("mistake", ExtractDrop.READER_CRASHED),
        ("memory", ExtractDrop.READER_OUT_OF_MEMORY),
        ("killed", ExtractDrop.READER_OUT_OF_MEMORY),
        ("long", ExtractDrop.TOO_LARGE_TEXT),
        ("deep", ExtractDrop.TOO_DEEP_MARKUP),
        ("unusable", ExtractDrop.EMPTY_FILE),
    ],
)
def test_hostile_file_costs_one_row_and_the_others_are_read(tmp_path: Path, order: str, reason: ExtractDrop) -> None:
    before, hostile, after, last = outcomes(tmp_path, "a", order, "b", "c")
    assert isinstance(hostile, UnusableError)
    assert hostile.reason == reason
    for outcome, text in ((before, "a é"), (after, "b é"), (last, "c é")):
        assert not isinstance(outcome, UnusableError)
        assert outcome[1].text == text


def test_hanging_reader_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    limits = ReadLimits(timeout_s=0.6, workers=1)
    hanging, after = outcomes(tmp_path, "sleep", "b", limits=limits)
    assert isinstance(hanging, UnusableError)
    assert (hanging.reason, hanging.detail) == (ExtractDrop.READER_TIMED_OUT, "not read within timeout_s=0.6")
    assert not isinstance(after, UnusableError)


def test_what_a_reader_prints_does_not_reach_the_answers(tmp_path: Path) -> None:
    (found,) = outcomes(tmp_path, "print")
    assert not isinstance(found, UnusableError)
    assert found[1].text == "print é"


def test_all_that_a_reader_found_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    ((_, found),) = read_files([FileRequest(tmp_path / "a", "docs/a")], LIMITS, READER)
    assert not isinstance(found, UnusableError)
    format_name, (text, title, offset_map, licence, _) = found
    assert (format_name, text, title, offset_map, licence) == ("text", "a é", "docs/a", ((0, "page 1"),), "MIT")


def test_children_read_one_file_after_another(tmp_path: Path) -> None:
    limits = ReadLimits(workers=2)
    found = outcomes(tmp_path, *"abcdefghij", limits=limits)
    assert len({outcome[1].repairs["nul"] for outcome in found if not isinstance(outcome, UnusableError)}) <= 2


def test_real_files_are_read_by_the_real_readers(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\ntext")
    (tmp_path / "b.bin").write_bytes(b"\x00\x01")
    found = dict(read_files(sorted(tmp_path.iterdir()), ReadLimits()))
    markdown, binary = found[tmp_path / "a.md"], found[tmp_path / "b.bin"]
    assert not isinstance(markdown, UnusableError)
    assert (markdown[0], markdown[1].title) == ("markdown", "A")
    assert isinstance(binary, UnusableError)
    assert binary.reason == ExtractDrop.BINARY_FILE


def test_no_files_need_no_child() -> None:
    assert list(read_files([], ReadLimits())) == []
