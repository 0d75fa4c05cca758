import os
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from steps.errors import InputError
from steps.extraction.cache import ExtractionCache
from steps.extraction.extract import extract
from steps.extraction.found import FoundFile
from steps.extraction.git import GitSource, check_git, git_files, git_versions
from steps.extraction.sources import ExtractionSettings, Sources
from tests.extraction.fetched import contents

MIT = (
    "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software\n\n"
    'THE SOFTWARE IS PROVIDED "AS IS"\n'
)


def git(folder: Path, *arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


def commit(folder: Path, **files: str) -> str:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "link.md").symlink_to("/etc/passwd")
    commit(folder, LICENSE=MIT, docs__a_dot_md="# A\n\nText.", code_dot_py="x = 1", big_dot_md="x" * 5_000)
    return folder


def source(url: object, **settings: object) -> GitSource:
    return GitSource.model_validate({"name": "repo", "url": str(url), **settings})


def texts(source: GitSource, tmp_path: Path) -> dict[str, str]:
    return contents(git_files(source, tmp_path / "fetched"), tmp_path / "scratch")


def test_blobs_of_the_commit_are_read_and_links_are_not(repository: Path, tmp_path: Path) -> None:
    (repository / "docs/a.md").write_text("uncommitted")
    found = texts(source(repository, max_file_mb=0.004), tmp_path)
    assert found == {"big.md": "! too_large_file", "docs/a.md": "# A\n\nText."}


def test_code_is_read_when_asked_for(repository: Path, tmp_path: Path) -> None:
    assert texts(source(repository, code=True, include=["docs/**"]), tmp_path) == {
        "code.py": "x = 1",
        "docs/a.md": "# A\n\nText.",
    }


def test_commit_and_licence_are_the_files_provenance(repository: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    file: FoundFile = next(git_files(source(repository, include=["docs/*"]), tmp_path))
    assert (file.path, file.shown_path, file.licence) == ("docs/a.md", f"docs/a.md@{head[:12]}", "MIT")


def test_earlier_commit_branch_and_tag_are_read_by_ref(repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "v1", "-m", "first")
    commit(repository, docs__a_dot_md="changed")
    for ref, text in ((first, "# A\n\nText."), ("v1", "# A\n\nText."), ("main", "changed")):
        assert texts(source(repository, ref=ref, include=["docs/*"]), tmp_path)["docs/a.md"] == text


def test_version_is_the_commit_and_a_blob_keeps_its_own(repository: Path, tmp_path: Path) -> None:
    before, blobs = (
        git_versions(source(repository), tmp_path),
        {f.path: f.version for f in git_files(source(repository), tmp_path)},
    )
    head = commit(repository, docs__a_dot_md="changed")
    after = {file.path: file.version for file in git_files(source(repository), tmp_path)}
    assert git_versions(source(repository), tmp_path) == [head] != before
    assert (after["big.md"], after["docs/a.md"]) == (blobs["big.md"], after["docs/a.md"])
    assert after["docs/a.md"] != blobs["docs/a.md"]


def test_remote_repository_is_fetched_once_and_again_when_it_changed(repository: Path, tmp_path: Path) -> None:
    remote = source(f"file://{repository}", ref="main", include=["docs/*"])
    assert texts(remote, tmp_path) == {"docs/a.md": "# A\n\nText."}
    head = commit(repository, docs__a_dot_md="changed")
    assert git_versions(remote, tmp_path) == [head]
    assert texts(remote, tmp_path) == {"docs/a.md": "changed"}
    assert texts(source(f"file://{repository}", ref=head, include=["docs/*"]), tmp_path) == {"docs/a.md": "changed"}


def test_new_commit_reads_only_what_it_changed_and_rows_keep_their_ids(repository: Path, tmp_path: Path) -> None:
    sources = Sources(sources=(source(repository),))
    with ExtractionCache(tmp_path / "cache.sqlite", 10**9, "r") as cache:
        before = extract(sources, ExtractionSettings(), cache).documents
        commit(repository, docs__a_dot_md="changed")
        after = extract(sources, ExtractionSettings(), cache).documents
        assert (cache.n_from_cache, cache.n_read) == (1, 3)
    assert before["path"][0] != after["path"][0]
    assert (before["id"][0], before["id"][1] == after["id"][1]) == (after["id"][0], False)


def test_nothing_of_a_hostile_repository_is_executed(repository: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    hook = repository / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    monitor = tmp_path / "monitor.sh"
    monitor.write_text(f"#!/bin/sh\ntouch {marker}\n")
    monitor.chmod(0o755)
    for key in ("core.fsmonitor", "core.sshCommand", "filter.x.smudge", "core.alternateRefsCommand"):
        git(repository, "config", key, str(monitor))
    commit(repository, _dot_gitattributes="*.md filter=x diff=x\n")
    marker.unlink(missing_ok=True)  # making the commit ran the monitor, as it may for its owner
    check_git(source(repository), "sources.0")
    texts(source(repository), tmp_path)
    texts(source(f"file://{repository}"), tmp_path)
    assert not marker.exists()


def test_fetch_that_grows_beyond_its_bound_is_stopped(repository: Path, tmp_path: Path) -> None:
    (repository / "noise.md").write_bytes(os.urandom(3_000_000))
    commit(repository, more_dot_md="x")
    with pytest.raises(InputError, match=r"larger than max_repository_mb=0.001|took longer"):
        texts(source(f"file://{repository}", max_repository_mb=0.001, timeout_s=20), tmp_path)


def test_lfs_pointer_is_no_document(repository: Path, tmp_path: Path) -> None:
    commit(repository, docs__a_dot_md="version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert texts(source(repository, include=["docs/*"]), tmp_path) == {"docs/a.md": "! git_lfs_pointer"}


def test_unknown_ref_and_path_say_which_key(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source repo: git rev-parse of .* at nowhere failed"):
        check_git(source(repository, ref="nowhere"), "sources.0")
    with pytest.raises(InputError, match="has no branch, tag or commit nowhere; correct `ref`"):
        git_versions(source(f"file://{repository}", ref="nowhere"), tmp_path)
    with pytest.raises(InputError, match=r"sources\.0\.url=.*absent does not exist"):
        check_git(source(repository / "absent"), "sources.0")
    with pytest.raises(InputError, match=r"sources\.0\.url=.*holds no file to read; expected \*\.none"):
        check_git(source(repository, include=["*.none"]), "sources.0")


@pytest.mark.parametrize(
    ("key", "value"),
    [("ref", "--upload-pack=x"), ("url", "ext::sh -c x"), ("url", "-u"), ("url", "https://me:secret@host/x.git")],
)
def test_options_commands_and_passwords_are_refused(key: str, value: str) -> None:
    with pytest.raises(ValidationError):
        GitSource.model_validate({"name": "repo", "url": "https://host/x.git", key: value})
