"""Label files as people hand them back: spreadsheets' habits, swapped sides, and errors that name the cell."""

import json

import pytest

from steps.errors import InputError
from steps.judging.labels import read_labels, read_rows, write_rows

PAIR = {
    "task_id": "t1", "item_id": "i1", "order": "ab", "source": "s", "kind": "k", "prompt": "Q",
    "answer_a": "one", "answer_b": "other", "annotator": "Ann", "label": "A", "comment": "",
}  # fmt: skip
ANSWER = {
    "task_id": "t1", "item_id": "i1", "scale": "1-5", "source": "s", "kind": "k", "prompt": "Q",
    "answer": "text", "annotator": "Ann", "label": "4", "comment": "",
}  # fmt: skip


@pytest.fixture
def labelled(tmp_path):
    def write(*rows, name="labels.csv"):
        path = tmp_path / name
        write_rows(path, list(rows))
        return path

    return write


@pytest.mark.parametrize(
    ("order", "said", "value"), [("ab", "A", 1), ("ab", "b", 0), ("ba", "A", 0), ("ba", "B", 1), ("ba", "Tie", 0.5)]
)
def test_a_label_of_a_swapped_pair_speaks_of_the_answer_that_was_shown_there(labelled, order, said, value):
    (label,) = read_labels([labelled({**PAIR, "order": order, "label": said})])
    assert label.value == value
    assert label.texts == (("one", "other") if order == "ab" else ("other", "one"))


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl"])
def test_any_text_survives_the_file(labelled, name):
    texts = ["=1+1", "'=quoted", "'plain", "+49 30", 'a "b", c;\td\r\ne\u2028f', "x" * 200_000, "\ufeffbom", "@me", ""]
    rows = [{**ANSWER, "item_id": str(n), "answer": text, "comment": text} for n, text in enumerate(texts)]
    assert read_rows(labelled(*rows, name=name)) == rows


def test_a_spreadsheet_reads_no_formula(labelled):
    content = labelled({**ANSWER, "answer": '=HYPERLINK("http://x")', "comment": "@a"}).read_text()
    assert "'=HYPERLINK" in content
    assert ",'@a" in content


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_file_saved_by_a_spreadsheet_of_another_country_is_read(tmp_path, delimiter):
    rows = [list(ANSWER), list(ANSWER.values())]
    path = tmp_path / "saved.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(delimiter.join(row) for row in rows).encode())
    assert read_labels([path])[0].value == 4


def test_numbers_of_json_and_of_spreadsheets_are_labels(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(json.dumps({**ANSWER, "item_id": str(n), "label": n}) for n in (3, 4.0)))
    assert [label.value for label in read_labels([path])] == [3, 4]


def test_rows_without_a_label_are_left_out_and_skipped_ones_have_no_value(labelled):
    path = labelled({**PAIR, "label": " "}, {**PAIR, "item_id": "i2", "label": "skip"})
    assert [(label.item_id, label.value) for label in read_labels([path])] == [("i2", None)]


def test_criteria_are_read_beside_the_whole(labelled):
    (label,) = read_labels([labelled({**ANSWER, "label.accuracy": "2", "label.tone": ""})])
    assert label.criteria == {"accuracy": 2}


def test_yes_and_no_are_one_and_zero(labelled):
    rows = [{**ANSWER, "scale": "yes-no", "item_id": said, "label": said} for said in ("yes", "No")]
    assert [label.value for label in read_labels([labelled(*rows)])] == [1, 0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "6"}, r"row 1, column label: '6' is not one of 1 to 5, or skip"),
        ({"label.tone": "x"}, r"row 1, column label.tone: 'x' is not one of 1 to 5"),
        ({"annotator": ""}, r"row 1, column annotator: empty"),
        ({"scale": "5-1"}, r"row 1, column label: '5-1' is no scale"),
    ],
)
def test_a_wrong_cell_is_named_with_file_row_and_column(labelled, change, said):
    with pytest.raises(InputError, match=r"labels\.csv, " + said):
        read_labels([labelled({**ANSWER, **change})])


def test_a_wrong_order_is_named(labelled):
    with pytest.raises(InputError, match="column order: 'a' is neither ab"):
        read_labels([labelled({**PAIR, "order": "a"})])


def test_an_item_labelled_twice_by_one_person_is_an_error_that_names_both_places(labelled):
    one, two = labelled(PAIR, name="one.csv"), labelled(PAIR, name="two.csv")
    with pytest.raises(InputError, match=r"two\.csv, row 1: annotator 'Ann' .* before, in .*one\.csv, row 1"):
        read_labels([one, two])


def test_pairs_and_answers_are_not_mixed(labelled):
    with pytest.raises(InputError, match="some labels are of pairs"):
        read_labels([labelled(PAIR, name="one.csv"), labelled(ANSWER, name="two.csv")])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "item_id,order\n1,ab\n", "lacks the column scale"),
        ("a.csv", "", "holds no row"),
        ("a.csv", "item_id,scale,prompt,answer,annotator,label\n1,1-5\n", "row 1: not as many columns"),
        ("a.jsonl", "{}\n[1]\n", "line 2: list, not an object"),
        ("a.jsonl", '{"a": 1}\n{', "line 2: not JSON"),
    ],
)
def test_a_broken_file_is_named_with_the_line(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said):
        read_labels([tmp_path / name])


def test_a_file_in_another_encoding_says_how_to_save_it(tmp_path):
    (tmp_path / "a.csv").write_bytes("item_id,prompt\n1,naïve\n".encode("latin-1"))
    with pytest.raises(InputError, match="line 2: not UTF-8; save it as `CSV UTF-8`"):
        read_labels([tmp_path / "a.csv"])


def test_a_file_without_labels_says_how_to_label(labelled):
    with pytest.raises(InputError, match="tunesmith calibrate label"):
        read_labels([labelled({**PAIR, "label": ""})])
