from collections import Counter
from random import Random

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import ValidationError

from steps.errors import DropLimitError, InputError
from steps.mixing.mix import MixSettings, mix_examples
from steps.rows import LEDGER, SFT, table


def dataset(sizes, n_held_out=5, seed=0, kinds=("k",)):
    """Training rows of sources with so many rows, and held-out rows of the first source."""
    random = Random(seed)
    rows = []
    for source, n in sizes.items():
        rows += [(source, f"{source}{i}", "train", random.randrange(5, 200)) for i in range(n)]
    first = next(iter(sizes))
    rows += [(first, f"held{i}", split, 10) for i in range(n_held_out) for split in ("validation", "test")]
    return table(
        [
            {
                "id": f"{split}-{name}",
                "messages": [{"role": "user", "content": name}],
                "kind": kinds[i % len(kinds)],
                "source": source,
                "path": "p",
                "group_id": name,
                "n_tokens": n_tokens,
                "split": split,
            }
            for i, (source, name, split, n_tokens) in enumerate(rows)
        ],
        SFT,
    )


def shares_of(result, unit="rows"):
    read = Counter()
    for row in result.kept.to_pylist():
        if row["split"] == "train":
            read[row["source"]] += row["repeats"] * (row["n_tokens"] if unit == "tokens" else 1)
    total = sum(read.values())
    return {source: n / total for source, n in read.items()}, total


def weights(**values):
    return {name: {"weight": weight} for name, weight in values.items()}


def test_without_a_mix_every_row_stays_once():
    rows = dataset({"a": 5, "b": 3})
    result = mix_examples(rows.drop(["repeats"]), None)
    assert result.kept.schema == SFT
    assert result.kept["repeats"].null_count == rows.num_rows
    assert result.ledger.schema == LEDGER
    assert set(result.ledger["decision"].to_pylist()) == {"kept"}


@pytest.mark.parametrize("unit", ["rows", "tokens"])
@pytest.mark.parametrize("seed", range(15))
def test_the_realised_mix_is_the_asked_one_within_one_percent(seed, unit):
    random = Random(seed)
    sizes = {name: random.randrange(150, 900) for name in "abcd"[: random.randrange(2, 5)]}
    asked = {name: random.randrange(1, 10) for name in sizes}
    settings = MixSettings(
        unit=unit, parts=weights(**asked), max_repeats=random.choice((1, 3)), seed=seed, max_drop_fraction=1
    )
    rows = dataset(sizes, seed=seed)
    result = mix_examples(rows, settings)
    shares, total = shares_of(result, unit)
    for name, weight in asked.items():
        assert shares[name] == pytest.approx(weight / sum(asked.values()), abs=0.01)
    assert result.report["max_deviation"] <= 0.01
    # It is as large as it can be: one part is used up, or all rows are matched in size.
    train = rows.filter(pc.equal(rows["split"], "train"))
    most = sum(train["n_tokens"].to_pylist()) if unit == "tokens" else train.num_rows
    used = Counter()
    for row in result.kept.to_pylist():
        if row["split"] == "train":
            used[row["source"]] += row["repeats"] / settings.max_repeats
    full = any(used[name] >= 0.97 * n for name, n in sizes.items())
    assert full or total >= 0.97 * most
    assert total <= most * 1.01


def test_only_training_rows_are_sampled_and_the_books_balance():
    rows = dataset({"a": 100, "b": 20})
    result = mix_examples(rows, MixSettings(parts=weights(a=1, b=1)))
    splits = Counter(result.kept["split"].to_pylist())
    assert splits == {"train": 40, "validation": 5, "test": 5}
    assert result.ledger.num_rows == rows.num_rows
    gone = [row for row in result.ledger.to_pylist() if row["decision"] == "dropped"]
    assert {row["reason"] for row in gone} == {"sampled_out"}
    assert {row["detail"] for row in gone} == {"a: 20 of 100 rows are read"}
    held_out = result.kept.filter(pc.not_equal(result.kept["split"], "train"))
    assert held_out["repeats"].null_count == held_out.num_rows


def test_temperature_evens_small_sources_up():
    sizes = {"a": 1000, "b": 100}
    shares, _ = shares_of(mix_examples(dataset(sizes), MixSettings(temperature=2)))
    expected = 1000**0.5 / (1000**0.5 + 100**0.5)
    assert shares["a"] == pytest.approx(expected, abs=0.01)
    natural = mix_examples(dataset(sizes), MixSettings(temperature=1))
    assert shares_of(natural)[1] == 1100


def test_repeats_bring_a_small_source_up_and_keep_ids_unique():
    result = mix_examples(dataset({"a": 100, "b": 10}), MixSettings(parts=weights(a=3, b=1), max_repeats=4))
    shares, total = shares_of(result)
    assert total == 110
    assert shares["b"] == pytest.approx(0.25, abs=0.01)
    repeats = Counter(row["repeats"] for row in result.kept.to_pylist() if row["source"] == "b" and row["repeats"])
    assert repeats == {2: 3, 3: 7} or set(repeats) == {2, 3}
    assert len(set(result.kept["id"].to_pylist())) == result.kept.num_rows


def test_caps_of_rows_tokens_and_shares_are_kept_and_named_in_the_ledger():
    rows = dataset({"a": 200, "b": 100, "c": 100})
    result = mix_examples(rows, MixSettings(parts={"a": {"max_rows": 50}, "b": {"max_tokens": 1000}}))
    read = Counter(row["source"] for row in result.kept.to_pylist() if row["split"] == "train")
    assert read["a"] == 50
    assert read["c"] == 100
    tokens = sum(r["n_tokens"] for r in result.kept.to_pylist() if r["source"] == "b" and r["split"] == "train")
    assert 800 < tokens <= 1000
    reasons = {row["reason"] for row in result.ledger.to_pylist() if row["decision"] == "dropped"}
    assert reasons == {"over_source_cap"}
    capped = mix_examples(rows, MixSettings(parts={"a": {"max_share": 0.2}}))
    shares, total = shares_of(capped)
    assert (shares["a"], total) == (pytest.approx(0.2, abs=0.01), 250)
    assert {row["reason"] for row in capped.ledger.to_pylist()} == {None, "over_source_cap"}


def test_kinds_and_sources_of_kinds_can_be_mixed():
    rows = dataset({"a": 90, "b": 60}, kinds=("x", "y", "y"))
    by_kind = mix_examples(rows, MixSettings(by="kind", parts=weights(x=1, y=1)))
    kinds = Counter(row["kind"] for row in by_kind.kept.to_pylist() if row["split"] == "train")
    assert kinds["x"] == kinds["y"] == 50
    both = mix_examples(
        rows, MixSettings(by="source_and_kind", parts=weights(**{"a/x": 1, "a/y": 1, "b/x": 1, "b/y": 1}))
    )
    assert {part["n_rows_read"] for part in both.report["parts"]} == {20}


def test_the_sample_depends_on_the_seed_alone_and_grows_with_the_data():
    rows = dataset({"a": 400, "b": 100})
    settings = MixSettings(parts=weights(a=1, b=1))
    read = set(mix_examples(rows, settings).kept["id"].to_pylist())
    shuffled = rows.take(pa.array(Random(1).sample(range(rows.num_rows), rows.num_rows)))
    assert set(mix_examples(shuffled, settings).kept["id"].to_pylist()) == read
    other = set(mix_examples(rows, settings.model_copy(update={"seed": 1})).kept["id"].to_pylist())
    assert other != read
    grown = set(mix_examples(dataset({"a": 440, "b": 110}), settings).kept["id"].to_pylist())
    assert len(read & grown) > 0.9 * len(read)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": weights(a=1, b=1), "total": 100}, "b has 20 .* Set total to 40"),
        ({"parts": weights(a=1, b=1), "total": 100, "max_repeats": 2}, "max_repeats to 3"),
        ({"parts": weights(a=1, b=1, d=1)}, "names d"),
        ({"parts": weights(a=1)}, "also have b"),
        ({"parts": {"a": {"max_share": 0.3}, "b": {"max_share": 0.3}}}, "sums to 0.6"),
        ({"parts": {**weights(b=1), "a": {"weight": 1, "max_rows": 0}}}, "no training row is left"),
        ({"parts": weights(a=97, b=3), "total": 10}, "nearest"),
        ({"parts": weights(a=6, b=4), "total": 9}, "nearest"),
        ({"parts": {**weights(a=999, b=1)}}, "nearest"),
    ],
)
def test_a_mix_that_cannot_be_had_says_what_can(settings, message):
    with pytest.raises(InputError, match=message):
        mix_examples(dataset({"a": 200, "b": 20}), MixSettings(**settings))


def test_a_small_data_set_is_mixed_as_finely_as_whole_rows_allow():
    result = mix_examples(dataset({"a": 5, "b": 9}), MixSettings(parts=weights(a=2, b=1)))
    shares, total = shares_of(result)
    assert total == 7
    assert shares["a"] == pytest.approx(5 / 7)


def test_tokens_that_are_not_known_are_not_guessed():
    rows = dataset({"a": 20, "b": 20})
    unknown = rows.set_column(rows.schema.get_field_index("n_tokens"), "n_tokens", pa.nulls(rows.num_rows, pa.int64()))
    with pytest.raises(InputError, match="no n_tokens"):
        mix_examples(unknown, MixSettings(unit="tokens", temperature=2))
    assert mix_examples(unknown, MixSettings(temperature=2)).kept.num_rows == 50


def test_too_many_drops_stop_the_run():
    with pytest.raises(DropLimitError, match="sampled_out"):
        mix_examples(dataset({"a": 500, "b": 5}), MixSettings(parts=weights(a=1, b=1)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": {"a": {"weight": 1}, "b": {}}}, "b lacks one"),
        ({"parts": weights(a=1), "temperature": 2}, "exclude each other"),
        ({"parts": weights(a=0)}, "all weights are 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        MixSettings(**settings)
