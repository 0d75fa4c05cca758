import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from steps.errors import InputError
from steps.extraction.documents import FORMATS, format_of
from steps.extraction.folders import DocumentSource
from steps.extraction.found import CODE_SUFFIXES, DOCUMENT_SUFFIXES
from steps.extraction.row_sources import DatasetSource
from steps.extraction.sources import Sources, check_sources, files_of, fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.md", "deep/er/B.MD", "c.pdf", ".git/d.md", "node_modules/x/e.md", "f.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def documents(folder: Path, **settings: object) -> DocumentSource:
    return DocumentSource.model_validate({"name": "docs", "path": str(folder), **settings})


def names(source: DocumentSource) -> list[str]:
    return [file.path for file in files_of(source, Path())]


def test_documents_are_found_at_any_depth_whatever_their_case_but_not_in_hidden_folders(folder: Path) -> None:
    assert names(documents(folder)) == ["a.md", "c.pdf", "deep/er/B.MD"]


def test_include_and_exclude_are_globs_relative_to_the_folder(folder: Path) -> None:
    assert names(documents(folder, include=["*.md", "**/*.py"], exclude=["a.*"])) == ["f.py"]
    assert names(documents(folder, include=["deep/**"])) == ["deep/er/B.MD"]


def test_every_format_with_a_reader_is_read_unless_told_otherwise() -> None:
    assert {suffix.removeprefix(".") for suffix in FORMATS} - set(DOCUMENT_SUFFIXES) == {"csv", "tsv"}
    assert all(format_of(f"a.{suffix}") == "code" for suffix in CODE_SUFFIXES)


def test_code_is_read_when_asked_for(folder: Path) -> None:
    assert names(documents(folder, code=True)) == ["a.md", "c.pdf", "deep/er/B.MD", "f.py"]


def test_nearest_licence_file_is_the_licence_unless_the_config_says_one(folder: Path) -> None:
    (folder / "deep/LICENSE").write_text(
        "Permission is hereby granted, free of charge, to any person obtaining a copy. The software is provided as is."
    )
    found = {file.path: file.licence for file in files_of(documents(folder), Path())}
    assert found == {"a.md": None, "c.pdf": None, "deep/er/B.MD": "MIT"}
    before = fingerprint([documents(folder)], folder)
    (folder / "deep/LICENSE").unlink()
    assert fingerprint([documents(folder)], folder) != before


def test_single_file_is_named_by_its_name(folder: Path) -> None:
    assert names(documents(folder / "f.py")) == ["f.py"]


def test_fingerprint_follows_content_names_and_settings(folder: Path) -> None:
    before = fingerprint([documents(folder)], folder)
    assert fingerprint([documents(folder)], folder) == before
    assert fingerprint([documents(folder, licence="MIT")], folder) != before
    (folder / "a.md").write_text("b")
    changed = fingerprint([documents(folder)], folder)
    (folder / "a.md").rename(folder / "aa.md")
    assert len({before, changed, fingerprint([documents(folder)], folder)}) == 3


def test_missing_path_empty_folder_and_doubled_name_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"sources\.0\.path=.*absent does not exist"):
        check_sources([documents(folder / "absent")])
    with pytest.raises(InputError, match=r"holds no file to read; expected .*\.jsonl"):
        check_sources([DatasetSource(name="rows", path=str(folder))])
    with pytest.raises(InputError, match=r"sources\.1\.name='docs' is used twice"):
        check_sources([documents(folder), documents(folder)])
    check_sources([documents(folder), DatasetSource(name="hub", hub_id="team/rows")])


def test_row_source_needs_exactly_one_place() -> None:
    with pytest.raises(ValidationError, match="either path or hub_id"):
        DatasetSource(name="rows")
    with pytest.raises(ValidationError, match="either path or hub_id"):
        DatasetSource(name="rows", path="x", hub_id="y")


def test_no_word_of_the_schema_is_a_placeholder() -> None:
    # ZenML stores the schema with a step, and looks for environment variables in all of it.
    assert "${" not in json.dumps(Sources.model_json_schema())


def test_sources_are_told_apart_by_their_type() -> None:
    found = Sources.model_validate({"sources": [{"type": "dataset", "name": "a", "path": "x"}]})
    assert isinstance(found.sources[0], DatasetSource)
    with pytest.raises(ValidationError):
        Sources.model_validate({"sources": [{"type": "documents", "name": "a", "path": "x", "limit": 3}]})
