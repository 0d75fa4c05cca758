import json
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError
from pypdf import PdfReader
from pypdf.errors import PdfReadError

from steps.errors import InputError
from steps.extraction.corpus import CorpusSettings, write_corpus
from steps.extraction.notes import CORPUS, part_of

SMALL = {"n_notes": 120, "n_chats": 24, "n_reviews": 24, "n_duplicates": 4, "n_junk": 2, "n_leaks": 4}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(settings_at(tmp_path_factory.mktemp("data") / "corpus"))


@pytest.fixture(scope="module")
def planted(corpus):
    return json.loads((corpus / "planted.json").read_text())["planted"]


def settings_at(path, **changes):
    return CorpusSettings(path=str(path), **{**SMALL, **changes})


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def content(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def shingles(text, n=5):
    words = text.lower().split()
    return set(zip(*(words[start:] for start in range(n)), strict=False))


def jaccard(left, right):
    return len(left & right) / len(left | right)


def conversation(file):
    body, _, points = file.read_text().partition("\n## TL;DR\n\n")
    return f"Summarize the note as a markdown TL;DR. {body} ## TL;DR {points}"


def of_kind(planted, kind):
    found = [thing for thing in planted if thing["kind"] == kind]
    assert found, kind
    return found


def test_the_same_settings_write_the_same_bytes(corpus, tmp_path):
    assert content(write_corpus(settings_at(tmp_path / "again"))) == content(corpus)


def test_another_seed_writes_another_corpus(corpus, tmp_path):
    ours, theirs = content(corpus), content(write_corpus(settings_at(tmp_path / "other", seed=1)))

    assert {name for name in theirs if theirs[name] == ours.get(name)} == {Path("notes/empty.md")}


def test_every_format_is_there_and_most_is_markdown(corpus):
    suffixes = Counter(file.suffix for file in (corpus / "notes").iterdir())

    assert set(suffixes) == {".md", ".html", ".txt", ".pdf"}
    assert suffixes[".md"] > sum(suffixes.values()) / 2


def test_the_points_of_a_note_are_exactly_its_findings(corpus, planted):
    odd = {thing["path"] for thing in planted if thing["stage"] in ("filter", "synthesise", "extract")}
    files = [file for file in (corpus / "notes").glob("*.md") if f"notes/{file.name}" not in odd]

    assert len(files) > 60
    for file in files:
        body, _, points = file.read_text().partition("\n## TL;DR\n\n")
        findings = [line.removeprefix("- ") for line in points.splitlines()]
        assert body.count(" percent") == len(findings)
        assert all(finding in body and part_of(finding) == CORPUS for finding in findings)


def test_a_pdf_holds_title_body_and_points(corpus, planted):
    odd = {thing["path"] for thing in planted if thing["stage"] == "extract"}
    file = next(file for file in sorted((corpus / "notes").glob("*.pdf")) if f"notes/{file.name}" not in odd)
    text = PdfReader(file).pages[0].extract_text()

    assert " notes, week " in text.splitlines()[0]
    assert "\nTL;DR:\n- " in text


def test_a_page_has_navigation_around_the_note(corpus):
    page = next((corpus / "notes").glob("*.html")).read_text()

    assert "<nav>" in page
    assert "<footer>" in page
    assert "<h2>TL;DR</h2>\n<ul>\n<li>" in page


def test_nothing_is_written_twice(corpus):
    manifest = corpus / "planted.json"
    before = manifest.stat().st_ino
    write_corpus(settings_at(corpus))

    assert manifest.stat().st_ino == before


def test_a_changed_or_missing_file_is_written_anew(tmp_path):
    folder = write_corpus(settings_at(tmp_path / "corpus"))
    before = content(folder)
    (folder / "reviews.jsonl").write_text("{}\n")
    next((folder / "notes").glob("*.html")).unlink()

    assert content(write_corpus(settings_at(folder))) == before


def test_other_settings_replace_the_corpus(tmp_path):
    folder = write_corpus(settings_at(tmp_path / "corpus"))
    write_corpus(settings_at(folder, n_chats=30))

    assert len(rows_of(folder / "chat_log.jsonl")) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.md").write_text("do not lose me")

    with pytest.raises(InputError, match=r"no planted\.json"):
        write_corpus(settings_at(tmp_path))
    assert (tmp_path / "thesis.md").read_text() == "do not lose me"


def test_what_an_interrupted_run_left_behind_is_cleared(corpus, tmp_path):
    left = tmp_path / ".corpus.partial" / "notes"
    left.mkdir(parents=True)
    (left / "half.md").write_text("half a no")

    assert content(write_corpus(settings_at(tmp_path / "corpus"))) == content(corpus)


def test_exact_duplicates_are_the_same_text_in_another_file(corpus, planted):
    for thing in of_kind(planted, "exact_duplicate"):
        assert thing["path"] != thing["partner"]
        assert (corpus / thing["path"]).read_bytes() == (corpus / thing["partner"]).read_bytes()


def test_near_duplicates_share_most_shingles_but_not_all(corpus, planted):
    for thing in of_kind(planted, "near_duplicate"):
        pair = [shingles(conversation(corpus / thing[key])) for key in ("path", "partner")]
        assert 0.8 <= jaccard(*pair) < 1


def test_semantic_duplicates_say_the_same_facts_in_other_words(corpus, planted):
    for thing in of_kind(planted, "semantic_duplicate"):
        ours, theirs = ((corpus / thing[key]).read_text() for key in ("path", "partner"))
        assert ours.partition("## TL;DR")[2] == theirs.partition("## TL;DR")[2]
        pair = [shingles(conversation(corpus / thing[key])) for key in ("path", "partner")]
        assert jaccard(*pair) < 0.6


def test_clean_notes_are_no_duplicates_of_each_other(corpus, planted):
    odd = {thing["path"] for thing in planted if thing["partner"] is None or thing["kind"].endswith("_duplicate")}
    clean = [
        shingles(conversation(file))
        for file in sorted((corpus / "notes").glob("*.md"))
        if f"notes/{file.name}" not in odd
    ]

    assert max(jaccard(left, right) for n, left in enumerate(clean) for right in clean[:n]) < 0.6


def test_leaked_questions_are_about_notes_of_the_corpus_and_the_others_are_not(corpus, planted):
    questions = rows_of(corpus / "benchmark.jsonl")
    texts = "".join(file.read_text() for file in (corpus / "notes").glob("*.md"))
    leaked = {int(thing["partner"].partition(":")[2]): thing for thing in of_kind(planted, "test_leak")}

    assert len(questions) == 2 * len(leaked)
    for row, question in enumerate(questions):
        note = question["prompt"].partition("\n\n")[2]
        assert (note in texts) == (row in leaked)
        if row in leaked:
            assert note in (corpus / leaked[row]["path"]).read_text()


def test_the_chat_log_answers_rightly_and_chats_around_it(corpus, planted):
    junk = {thing["row"] for thing in planted if thing["path"] == "chat_log.jsonl"}
    for row, line in enumerate(rows_of(corpus / "chat_log.jsonl")):
        question, answer = (turn["value"] for turn in line["conversations"])
        assert [turn["from"] for turn in line["conversations"]] == ["human", "gpt"]
        if row in junk:
            continue
        points = [part for part in answer.splitlines() if part.startswith("- ")]
        assert points
        assert all(point.removeprefix("- ") in question for point in points)
        assert not answer.startswith("## TL;DR")
        assert not answer.splitlines()[-1].startswith("- ")


def test_junk_in_the_chat_log_stands_where_the_manifest_says(corpus, planted):
    rows = rows_of(corpus / "chat_log.jsonl")
    for thing in of_kind(planted, "refusal"):
        assert "cannot help" in rows[thing["row"]]["conversations"][1]["value"]
    for thing in of_kind(planted, "unclosed_code_fence"):
        assert rows[thing["row"]]["conversations"][1]["value"].count("```") == 1


def test_reviews_prefer_the_terse_and_exact_answer(corpus, planted):
    undecided = {thing["row"] for thing in of_kind(planted, "undecided")}
    wrong = 0
    for row, review in enumerate(rows_of(corpus / "reviews.jsonl")):
        assert (review["chosen"] == review["rejected"]) == (row in undecided)
        points = [line.removeprefix("- ") for line in review["chosen"].splitlines()[1:]]
        assert all(point in review["prompt"] for point in points)
        wrong += any(
            line.removeprefix("- ") not in review["prompt"]
            for line in review["rejected"].splitlines()
            if line.startswith("- ")
        )
    assert wrong >= 3


def test_data_sets_and_notes_are_about_different_notes(corpus):
    texts = "".join(file.read_text() for file in (corpus / "notes").glob("*.md"))
    prompts = [row["prompt"] for row in rows_of(corpus / "reviews.jsonl")]
    prompts += [row["conversations"][0]["value"] for row in rows_of(corpus / "chat_log.jsonl")]
    titles = [prompt.split("\n\n")[1] for prompt in prompts]

    assert len(titles) == len(set(titles))
    assert not [title for title in titles if f"{title}\n" in texts]


def test_broken_files_cannot_be_read(corpus, planted):
    by_kind = {thing["kind"]: corpus / thing["path"] for thing in planted if thing["stage"] == "extract"}

    assert by_kind["empty_file"].read_bytes() == b""
    assert b"\0" in by_kind["binary_text"].read_bytes()
    assert PdfReader(by_kind["encrypted_pdf"]).is_encrypted
    with pytest.raises(PdfReadError):
        PdfReader(by_kind["truncated_pdf"], strict=True)


def test_the_manifest_counts_every_kind(planted):
    counts = Counter(thing["kind"] for thing in planted)

    assert counts["exact_duplicate"] == counts["near_duplicate"] == counts["semantic_duplicate"] == 4
    assert counts["test_leak"] == 4
    assert counts["too_short"] == counts["loop"] == counts["banned_phrase"] == 2
    assert counts["no_summary"] == counts["undecided"] == 6


def test_more_notes_than_titles_are_refused():
    with pytest.raises(ValidationError, match="lower n_notes"):
        CorpusSettings(n_notes=600, n_chats=300, n_reviews=300)
