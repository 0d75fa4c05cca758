from steps.reporting.curation import documents_of, funnel
from steps.rows import DOCUMENTS, LEDGER, table


def decision(row_id, reason=None, detail=None, evidence_id=None, score=None):
    decided = "dropped" if reason else "kept"
    evidence = {"reason": reason, "detail": detail, "evidence_id": evidence_id, "score": score}
    return {"row_id": row_id, "stage": "filter", "decision": decided, **evidence}


def test_every_reason_has_its_number_and_the_first_row_as_an_example():
    rows = [
        decision("a"),
        decision("b", "refusal", "I cannot"),
        decision("c", "near_duplicate", None, "a", 0.9),
        decision("d", "refusal", "I will not"),
    ]
    (stage,) = funnel({"filter": table(rows, LEDGER)})
    assert (stage["n_in"], stage["n_kept"], stage["n_dropped"]) == (4, 1, 3)
    assert stage["reasons"] == {"refusal": 2, "near_duplicate": 1}
    assert stage["examples"] == {
        "refusal": {"row_id": "b", "evidence_id": None, "score": None, "detail": "I cannot"},
        "near_duplicate": {"row_id": "c", "evidence_id": "a", "score": 0.9, "detail": None},
    }


def test_a_stage_that_drops_nothing_has_no_examples():
    (stage,) = funnel({"filter": table([decision("a")], LEDGER)})
    assert (stage["reasons"], stage["examples"]) == ({}, {})


def document(number, source, language, repairs, **columns):
    found = {"id": f"d{number}", "text": "t", "source": source, "path": f"{number}.md", "format": "markdown"}
    return {**found, "language": language, "repairs": repairs, **columns}


def test_documents_are_summed_up_by_source_with_their_repairs():
    rows = [
        document(0, "notes", "en", {"mojibake": 3, "nul": 0}),
        document(1, "notes", None, {"nul": 12}, format="pdf", licence="MIT"),
        document(2, "notes", "en", None),
        document(3, "books", "de", None),
    ]
    books, notes = documents_of(table(rows, DOCUMENTS))
    assert books == {
        "source": "books",
        "n_documents": 1,
        "formats": {"markdown": 1},
        "languages": {"de": 1},
        "licences": {"unknown": 1},
        "repairs": {},
    }
    assert (notes["formats"], notes["languages"]) == ({"markdown": 2, "pdf": 1}, {"en": 2, "unknown": 1})
    assert notes["licences"] == {"unknown": 2, "MIT": 1}
    assert notes["repairs"] == {"documents": 2, "mojibake": 3, "nul": 12}
