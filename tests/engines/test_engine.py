import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from steps import tables
from steps.engines.engine import Engine, engine_of
from steps.engines.on_daft import DaftEngine
from steps.engines.settings import EngineSettings, check_engine
from steps.errors import ConfigError, InputError

NUMBERS = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("text", pa.string())])
SQUARES = pa.schema([pa.field("n", pa.int64()), pa.field("square", pa.float64(), nullable=False)])
KEYED = pa.schema([("part", pa.int32()), ("n", pa.int64())])
COUNTS = pa.schema([("part", pa.int32()), ("members", pa.list_(pa.int64()))])


def numbers(n: int) -> pa.Table:
    return pa.table({"n": list(range(n)), "text": [None if i % 5 == 0 else "x" * i for i in range(n)]}, schema=NUMBERS)


def odd_and_squares(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    odd = rows.filter(pc.equal(pc.bit_wise_and(rows["n"], 1), 1))
    squares = pa.table({"n": rows["n"], "square": pc.power(rows["n"].cast(pa.float64()), 2)}, schema=SQUARES)
    return odd, squares


def by_remainder(rows: pa.Table) -> tuple[pa.Table]:
    n = rows["n"].to_numpy()
    return (pa.table({"part": (n % 7).astype(np.int32), "n": n}, schema=KEYED),)


def members(rows: pa.Table) -> tuple[pa.Table]:
    part = rows["part"].slice(0, 1)
    return (pa.table({"part": part, "members": [rows["n"].to_pylist()] * len(part)}, schema=COUNTS),)


@pytest.fixture(params=["local", "daft", "daft as on a cluster"])
def engine(request) -> Engine:
    if request.param.endswith("cluster"):
        return DaftEngine(EngineSettings(type="daft", batch_rows=9), as_bytes=True)
    return engine_of(EngineSettings(type=request.param, batch_rows=9))


@pytest.mark.parametrize("n", [0, 1, 9, 50])
def test_a_function_of_batches_gives_the_same_tables_on_every_engine(engine, n):
    rows = numbers(n)
    odd, squares = engine.map(rows, odd_and_squares, (NUMBERS, SQUARES))
    expected = odd_and_squares(rows)
    assert odd.equals(expected[0])
    assert squares.equals(expected[1])
    assert (odd.schema, squares.schema) == (NUMBERS, SQUARES)


@pytest.mark.parametrize("n", [0, 5, 50])
def test_parts_are_whole_ordered_as_the_table_and_the_same_on_every_engine(engine, n):
    (found,) = engine.map_parts(numbers(n), by_remainder, KEYED, members, (COUNTS,))
    expected = [{"part": part, "members": list(range(part, n, 7))} for part in range(min(7, n))]
    assert found.to_pylist() == expected
    assert found.schema == COUNTS


def test_results_that_go_to_disk_are_the_same(monkeypatch):
    engine = engine_of(EngineSettings(batch_rows=9))
    expected = engine.map_parts(numbers(50), by_remainder, KEYED, members, (COUNTS,))
    monkeypatch.setattr(tables, "SPILL_BYTES", 0)
    assert engine.map_parts(numbers(50), by_remainder, KEYED, members, (COUNTS,))[0].equals(expected[0])


def test_an_error_of_a_function_comes_out_as_itself(engine):
    def refuse(rows: pa.Table) -> tuple[pa.Table]:
        raise InputError("row 3 is no row; mend it")

    with pytest.raises(InputError, match="row 3"):
        engine.map(numbers(20), refuse, (NUMBERS,))


def test_an_engine_is_named_alone_or_with_its_settings():
    assert EngineSettings.model_validate("daft") == EngineSettings(type="daft")
    with pytest.raises(ValueError, match="for Daft"):
        EngineSettings(ray_address="auto")


@pytest.mark.parametrize(
    ("missing", "settings", "says"),
    [
        ("daft", EngineSettings(type="daft"), r"pip install 'tunesmith\[daft\]'"),
        ("ray", EngineSettings(type="daft", ray_address="auto"), "pip install ray"),
    ],
)
def test_what_an_engine_lacks_is_named_with_the_command_that_installs_it(monkeypatch, missing, settings, says):
    monkeypatch.setattr("steps.engines.settings.find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ConfigError, match=says):
        check_engine(settings)
