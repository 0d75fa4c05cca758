import json

import pytest

from steps.errors import InputError
from steps.reporting.planted import caught, load_planted
from steps.rows import DOCUMENTS, EXAMPLES, LEDGER, content_id, table

MESSAGES = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
PREFIXES = {"notes": "notes/", "chats": ""}


def document(row_id, path):
    return {"id": row_id, "text": "t", "source": "notes", "path": path, "format": "markdown"}


def example(row_id, source, path, row=None):
    return {
        "id": row_id,
        "messages": MESSAGES,
        "kind": "k",
        "source": source,
        "path": path,
        "row": row,
        "group_id": row_id,
    }


def thing(kind, path, stage, reason, row=None, partner=None):
    return {"kind": kind, "path": path, "row": row, "stage": stage, "reason": reason, "partner": partner}


def ledger(stage, **reasons):
    rows = [
        {"row_id": row_id, "stage": stage, "decision": "dropped", "reason": reason}
        for row_id, reason in reasons.items()
    ]
    return table(rows, LEDGER)


TABLES = [
    table([document("d1", "a.md"), document("d2", "a-copy.md"), document("d3", "leak.md")], DOCUMENTS),
    table(
        [
            example("e1", "notes", "a.md"),
            example("e2", "notes", "a-copy.md"),
            example("e3", "notes", "leak.md"),
            example("c0", "chats", "chat.jsonl", 0),
            example("c1", "chats", "chat.jsonl", 1),
        ],
        EXAMPLES,
    ),
]


def test_a_duplicate_counts_as_caught_when_either_of_the_two_went():
    copy = thing("copy", "notes/a-copy.md", "dedup_exact", "exact_duplicate", partner="notes/a.md")
    for gone in ("e1", "e2"):
        (entry,) = caught([copy], {"dedup_exact": ledger("dedup_exact", **{gone: "exact_duplicate"})}, TABLES, PREFIXES)
        assert (entry["n_caught"], entry["missed"]) == (1, [])


def test_a_row_of_a_file_is_told_from_its_neighbour():
    refusals = [thing("refusal", "chat.jsonl", "filter", "refusal", row=row) for row in (0, 1)]
    (entry,) = caught(refusals, {"filter": ledger("filter", c0="refusal")}, TABLES, PREFIXES)
    assert (entry["n_planted"], entry["n_caught"], entry["missed"]) == (2, 1, ["chat.jsonl:1"])


def test_dropped_elsewhere_or_for_another_reason_is_not_caught():
    refusal = thing("refusal", "chat.jsonl", "filter", "refusal", row=0)
    (entry,) = caught([refusal], {"filter": ledger("filter", c0="too_short")}, TABLES, PREFIXES)
    assert (entry["n_caught"], entry["n_elsewhere"]) == (0, 1)


def test_a_file_that_never_became_a_row_is_found_by_its_place():
    broken = thing("broken", "notes/x.pdf", "extract", "broken_pdf")
    dropped = ledger("extract", **{content_id("unusable", "notes", "x.pdf", None): "broken_pdf"})
    (entry,) = caught([broken], {"extract": dropped}, TABLES, PREFIXES)
    assert entry["n_caught"] == 1


def test_a_leak_into_the_test_split_itself_is_no_miss():
    leak = thing("test_leak", "notes/leak.md", "decontaminate", "overlaps_benchmark")
    nothing = {"decontaminate": table([], LEDGER)}
    assert caught([leak], nothing, TABLES, PREFIXES)[0]["missed"] == ["notes/leak.md"]
    assert caught([leak], nothing, TABLES, PREFIXES, frozenset({"e3"}))[0]["missed"] == []


def test_a_folder_without_a_manifest_says_so(tmp_path):
    (tmp_path / "planted.json").write_text(json.dumps({"planted": [1]}))
    assert load_planted(tmp_path) == [1]
    with pytest.raises(InputError, match="no corpus manifest"):
        load_planted(tmp_path / "none")


def test_what_a_stage_that_did_not_run_would_catch_is_left_out():
    planted = [
        thing("undecided", "r.jsonl", "preferences", "undecided", row=1),
        thing("loop", "notes/a.md", "filter", "loop"),
    ]
    (entry,) = caught(planted, {"filter": ledger("filter", e1="loop")}, TABLES, PREFIXES)
    assert (entry["kind"], entry["n_caught"]) == ("loop", 1)
