import zipfile
from pathlib import Path

import pytest

from steps.errors import InputError
from steps.extraction.notion import NotionSource, notion_files
from steps.extraction.sources import check_sources, fingerprint
from tests.extraction.fetched import contents

TEAM, TRAVEL, TASKS = "0123456789abcdef" * 2, "fedcba9876543210" * 2, "00112233445566778899aabbccddeeff"
LINK = f"Team%20{TEAM}/Travel%20{TRAVEL}.md"
ADDRESS = f"https://www.notion.so/Travel-{TRAVEL}"
EXPORT = {
    f"Team {TEAM}.md": f"# Team\n\nSee [Travel]({LINK}) and []({LINK}) or [{ADDRESS}]({ADDRESS}), "
    "[out](https://example.org/x).",
    f"Team {TEAM}/Travel {TRAVEL}.md": f"# Travel\n\nBack to [Team {TEAM}.md](../Team%20{TEAM}.md).",
    f"Team {TEAM}/Tasks {TASKS}.csv": "Name,State\nOne,Open\n",
    f"Team {TEAM}/Tasks {TASKS}_all.csv": "Name,State,Note\nOne,Open,a|b\nTwo,Done,\n",
    "picture.png": "not read",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in EXPORT.items():
        path = tmp_path / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "export"


def packed(folder: Path, in_parts: bool = False) -> Path:
    path = folder.with_name("export.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            archive.write(file, file.relative_to(folder))
    if in_parts:
        outer = folder.with_name("outer.zip")
        with zipfile.ZipFile(outer, "w") as archive:
            archive.write(path, "ExportBlock-1-Part-1.zip")
        return outer
    return path


def documents(path: Path, **settings: object) -> dict[str, str]:
    source = NotionSource.model_validate({"name": "notion", "path": str(path), **settings})
    check_sources([source])
    return contents(notion_files(source, path), path.with_name("scratch"))


def test_ids_leave_paths_and_links_say_titles(folder: Path) -> None:
    found = documents(folder)
    assert list(found) == ["Team.md", "Team/Tasks.md", "Team/Travel.md"]
    assert found["Team.md"] == (
        "# Team\n\nSee [Travel](Team/Travel.md) and [Travel](Team/Travel.md) or [Travel](Team/Travel.md), "
        "[out](https://example.org/x)."
    )
    assert found["Team/Travel.md"] == "# Travel\n\nBack to [Team](Team.md)."


def test_database_is_a_table_of_all_its_rows(folder: Path) -> None:
    assert documents(folder)["Team/Tasks.md"] == (
        "# Tasks\n\n| Name | State | Note |\n| --- | --- | --- |\n| One | Open | a\\|b |\n| Two | Done |  |"
    )


def test_rows_of_a_database_are_documents_when_asked_for(folder: Path) -> None:
    found = documents(folder, databases="rows", include=["**/*.csv"])
    assert found == {"Team/Tasks/0.md": "# One\n\nState: Open\nNote: a|b", "Team/Tasks/1.md": "# Two\n\nState: Done"}


@pytest.mark.parametrize("in_parts", [False, True])
def test_zip_file_reads_as_its_folder(folder: Path, in_parts: bool) -> None:
    assert documents(packed(folder, in_parts)) == documents(folder)


def test_pages_of_one_title_are_told_apart(folder: Path) -> None:
    (folder / f"Team {TRAVEL}.md").write_text("# Team\n\nThe other.")
    assert documents(folder)[f"Team {TRAVEL[:8]}.md"] == "# Team\n\nThe other."


def test_fingerprint_follows_the_content(folder: Path, tmp_path: Path) -> None:
    source = NotionSource(name="notion", path=str(folder))
    before = fingerprint([source], tmp_path)
    (folder / f"Team {TEAM}.md").write_text("# Team\n\nChanged.")
    assert fingerprint([source], tmp_path) != before


def test_broken_database_is_a_ledger_row(folder: Path) -> None:
    (folder / f"Team {TEAM}/Tasks {TASKS}_all.csv").write_bytes(b"Name,State\n\xff,x\n")
    assert documents(folder)["Team/Tasks.csv"] == "! unknown_encoding"


def test_export_that_is_none_or_out_of_bounds_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "x.zip"
    other.write_text("no zip")
    with pytest.raises(InputError, match=r"x\.zip is no zip file .* as Notion gave it"):
        documents(other)
    with pytest.raises(InputError, match=r"unpacks to .* more than max_total_mb"):
        documents(packed(folder), max_total_mb=0.0001)
    with pytest.raises(InputError, match=r"sources\.0\.path=.* holds no file to read"):
        documents(folder, include=["*.none"])
