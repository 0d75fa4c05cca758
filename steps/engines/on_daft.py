"""The engine that runs functions as Daft tasks: on all cores of this machine, or on a Ray cluster.

What Daft moves is a whole batch or part as the bytes of an Arrow stream: a function gets exactly the table that it
would get in this process, and nothing is converted row by row on the way. Without a cluster a batch is named by its
number only, because tasks see the table in the memory of this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from steps.engines.engine import Function, divided, gathered
from steps.engines.settings import EngineSettings, check_engine

#: Set before daft is imported, unless the user has set them: no usage statistics, no bars beside our own.
ENVIRONMENT = {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "true", "DAFT_PROGRESS_BAR": "0"}


class DaftEngine:
    """Runs functions as Daft tasks; results come in the order of the table."""

    def __init__(self, settings: EngineSettings) -> None:
        check_engine(settings)
        for key, value in ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        self._batch_rows = settings.batch_rows
        self._on_cluster = settings.ray_address is not None
        if self._on_cluster:
            import daft

            daft.set_runner_ray(settings.ray_address, noop_if_initialized=True)

    def map(self, table: pa.Table, function: Function, schemas: Sequence[pa.Schema]) -> list[pa.Table]:
        """Apply a function to slices of a table (see `Engine`)."""
        from daft import DataType, col

        source = _Source(table, self._batch_rows, self._on_cluster)

        def work(batches: Any) -> pa.Array:
            return _blobs([_packed(function(source.read(batch))) for batch in batches.to_arrow()])

        run = _task(work, DataType.binary())
        results = source.frame().select("number", run(col("batch")).alias("result"))
        if self._on_cluster:  # in this process Daft keeps the order
            results = results.sort("number")
        return gathered((list(_unpacked(row["result"])) for row in _rows(results)), schemas)

    def map_parts(
        self, table: pa.Table, divide: Function, keyed: pa.Schema, function: Function, schemas: Sequence[pa.Schema]
    ) -> list[pa.Table]:
        """Divide what a function makes of a table by a shuffle, and apply another to each part (see `Engine`)."""
        from daft import DataType, col
        from daft.functions import list_agg

        source = _Source(table, self._batch_rows, self._on_cluster)
        piece = DataType.struct({"number": DataType.int64(), "rows": DataType.binary()})
        pieces_of = DataType.list(DataType.struct({"part": DataType.int32(), "piece": piece}))

        def split(numbers: Any, batches: Any) -> pa.Array:
            each = zip(numbers.to_pylist(), batches.to_arrow(), strict=True)
            return _pieces([(number, divided(divide(source.read(batch))[0])) for number, batch in each])

        def work(pieces: Any) -> pa.Array:
            return _blobs([_packed(function(_joined(each))) for each in pieces.to_arrow()])

        divided_rows = source.frame().select(_task(split, pieces_of)(col("number"), col("batch")).alias("found"))
        pieces = divided_rows.explode("found").select(col("found").get("part"), col("found").get("piece"))
        parts = pieces.where(col("part").not_null()).groupby("part").agg(list_agg(col("piece")))
        results = parts.select("part", _task(work, DataType.binary())(col("piece")).alias("result"))
        ordered = sorted(_rows(results), key=lambda row: row["part"].as_py())
        return gathered((list(_unpacked(row["result"])) for row in ordered), schemas)


class _Source:
    """The batches of a table as a Daft frame of `number` and `batch`: their bytes on a cluster, else their numbers."""

    def __init__(self, table: pa.Table, batch_rows: int, on_cluster: bool) -> None:
        self._n = max(1, -(-table.num_rows // batch_rows))
        self._batch_rows = batch_rows
        self._bytes = (
            [_packed([table.slice(i * batch_rows, batch_rows)]) for i in range(self._n)] if on_cluster else None
        )
        self._table = table if self._bytes is None else table.slice(0, 0)

    def frame(self) -> Any:
        import daft

        numbers = pa.array(range(self._n), pa.int64())
        batches = numbers if self._bytes is None else _blobs(self._bytes)
        return daft.from_arrow(pa.table({"number": numbers, "batch": batches}))

    def read(self, batch: pa.Scalar) -> pa.Table:
        """Return the table of a batch, inside a task."""
        if pa.types.is_integer(batch.type):
            return self._table.slice(batch.as_py() * self._batch_rows, self._batch_rows).combine_chunks()
        return next(_unpacked(batch))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the bytes behind: tasks get theirs from the frame."""
        return {**self.__dict__, "_bytes": None}


def _task(function: Any, returns: Any) -> Any:
    """Return a Daft function that gets one batch or part at a time, in the thread that runs it."""
    from daft import udf

    return udf(return_dtype=returns, batch_size=1, use_process=False)(function)


def _rows(frame: Any) -> Iterator[dict[str, pa.Scalar]]:
    """Run a frame and yield its rows; an error that a task raised comes out as itself."""
    from daft.errors import UDFException

    try:
        for batch in frame.to_arrow_iter():
            for row in range(batch.num_rows):
                yield {name: batch.column(name)[row] for name in batch.schema.names}
    except UDFException as error:
        raise error.__cause__ or error from None


def _packed(tables: Sequence[pa.Table]) -> bytes:
    """Return tables as one Arrow stream after the other."""
    sink = pa.BufferOutputStream()
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpacked(packed: pa.Scalar) -> Iterator[pa.Table]:
    """Yield the tables of `_packed`; they look into its bytes."""
    reader = pa.BufferReader(packed.as_buffer())
    while reader.tell() < reader.size():
        yield pa.ipc.open_stream(reader).read_all()


def _joined(pieces: pa.Scalar) -> pa.Table:
    """Put the pieces of a part together in the order of the batches that they came from."""
    order = np.argsort(pieces.values.field("number").to_numpy(zero_copy_only=False))
    rows = pieces.values.field("rows")
    return pa.concat_tables([next(_unpacked(rows[int(place)])) for place in order]).combine_chunks()


def _blobs(packed: Sequence[bytes]) -> pa.Array:
    return pa.array(packed, pa.large_binary())


def _pieces(batches: Sequence[tuple[int, Iterator[tuple[int, pa.Table]]]]) -> pa.Array:
    """Return, per batch, the list of its parts and their rows."""
    piece = pa.struct([("number", pa.int64()), ("rows", pa.large_binary())])
    found = [
        [{"part": part, "piece": {"number": number, "rows": _packed([rows])}} for part, rows in parts]
        for number, parts in batches
    ]
    return pa.array(found, pa.large_list(pa.struct([("part", pa.int32()), ("piece", piece)])))
