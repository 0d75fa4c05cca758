import pyarrow as pa
import pytest

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.index import read_index, write_index
from steps.dedup.minhash import MinHashSettings
from steps.errors import InputError
from tests.dedup.test_minhash import graded_texts, pairs


@pytest.fixture
def corpus(examples, tmp_path):
    """An index of earlier rows, later rows that partly repeat them, and settings that name the index."""
    texts = graded_texts(40)
    table = examples(pairs(texts))
    earlier = deduplicate("minhash", table.slice(0, 100), DedupSettings()).kept
    chosen = MinHashSettings(index_path=str(tmp_path / "sub" / "corpus.arrow"))
    write_index(chosen.index_path, earlier, chosen)
    return earlier, table.slice(100), chosen


def test_new_rows_that_an_earlier_corpus_has_are_dropped_with_the_old_rows_id(corpus):
    earlier, later, chosen = corpus
    alone = deduplicate("minhash", later, DedupSettings(keep="first"))
    result = deduplicate("minhash", later, DedupSettings(keep="first", minhash=chosen))
    # The truth: one table with the earlier rows in front, of which none goes.
    both = deduplicate("minhash", pa.concat_tables([earlier, later]), DedupSettings(keep="first"))
    dropped = {row["row_id"]: row for row in result.ledger.to_pylist() if row["decision"] == "dropped"}
    assert dropped == {row["row_id"]: row for row in both.ledger.to_pylist() if row["decision"] == "dropped"}
    old = set(earlier["id"].to_pylist())
    assert any(row["evidence_id"] in old for row in dropped.values())
    assert len(dropped) > alone.report["n_dropped"]
    assert result.kept["group_id"].to_pylist() == [f"g{row}" for row in result.kept["row"].to_pylist()]
    assert any(pair["other_id"] in old and pair["other"] for pair in result.report["borderline"])


def test_a_row_that_the_index_has_already_is_no_duplicate_of_itself(corpus):
    earlier, _, chosen = corpus
    assert deduplicate("minhash", earlier, DedupSettings(minhash=chosen)).kept.num_rows == earlier.num_rows


def test_an_index_grows_by_the_rows_that_it_lacks(corpus):
    earlier, later, chosen = corpus
    assert write_index(chosen.index_path, pa.concat_tables([earlier, later]), chosen) == (100, earlier.num_rows + 100)
    assert write_index(chosen.index_path, later, chosen) == (0, earlier.num_rows + 100)
    index = read_index(chosen.index_path, chosen)
    assert len(index) == earlier.num_rows + 100
    assert index[0][0] == earlier["id"][0].as_py()


@pytest.mark.parametrize("method", ["exact_join", "datasketch"])
def test_every_method_uses_the_index_or_says_that_it_cannot(corpus, method):
    _, later, chosen = corpus
    expected = deduplicate("minhash", later, DedupSettings(minhash=chosen)).ledger
    other = chosen.model_copy(update={"method": method})
    if method == "datasketch":
        with pytest.raises(ValueError, match="index_path"):
            MinHashSettings.model_validate(other.model_dump())
    else:
        assert deduplicate("minhash", later, DedupSettings(minhash=other)).ledger.equals(expected)


def test_an_index_of_other_settings_is_refused_with_what_differs(corpus):
    _, _, chosen = corpus
    with pytest.raises(InputError, match=r"shingle_words=5, not 4.*tunesmith index"):
        read_index(chosen.index_path, chosen.model_copy(update={"shingle_words": 4}))


def test_a_file_that_is_no_index_is_refused(tmp_path):
    path = tmp_path / "no.arrow"
    with pytest.raises(InputError, match="tunesmith index"):
        read_index(str(path), MinHashSettings())
    path.write_text("not arrow")
    with pytest.raises(InputError, match="index_path"):
        read_index(str(path), MinHashSettings())
