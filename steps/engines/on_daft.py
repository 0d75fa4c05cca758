"""The engine that runs functions as Daft tasks: on all cores of this machine, or on a Ray cluster.

What Daft moves is a whole batch or part: a function gets exactly the table that it would get in this process, and
nothing is converted row by row on the way. On a cluster these are the bytes of Arrow streams; without one tasks share
the memory of this process, and Daft moves only the numbers under which the tables are held.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from steps.engines.engine import Function, divided, gathered
from steps.engines.settings import EngineSettings, check_engine

#: Set before daft is imported, unless the user has set them: no usage statistics, no bars beside our own.
ENVIRONMENT = {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "true", "DAFT_PROGRESS_BAR": "0"}


class DaftEngine:
    """Runs functions as Daft tasks; results come in the order of the table."""

    def __init__(self, settings: EngineSettings, as_bytes: bool | None = None) -> None:
        """Start the engine.

        Args:
            settings: Where Daft runs.
            as_bytes: Whether tables travel as bytes; None: only on a cluster, which can do nothing else.

        Raises:
            ConfigError: if daft is not installed, or a Ray cluster is named without ray.
        """
        check_engine(settings)
        for key, value in ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        self._batch_rows = settings.batch_rows
        self._as_bytes = settings.ray_address is not None if as_bytes is None else as_bytes
        if settings.ray_address is not None:
            import daft

            daft.set_runner_ray(settings.ray_address, noop_if_initialized=True)

    def map(self, table: pa.Table, function: Function, schemas: Sequence[pa.Schema]) -> list[pa.Table]:
        """Apply a function to slices of a table (see `Engine`)."""
        from daft import DataType, col

        carrier = _Carrier(self._as_bytes)
        source = self._source(table, carrier)

        def work(batches: Any) -> pa.Array:
            return _blobs([carrier.pack(function(carrier.batch(batch))) for batch in batches.to_arrow()])

        results = source.select("number", _task(work, DataType.binary())(col("batch")).alias("result"))
        if self._as_bytes:  # without a cluster Daft keeps the order
            results = results.sort("number")
        return gathered((carrier.unpack(row["result"]) for row in _rows(results)), schemas)

    def map_parts(
        self, table: pa.Table, divide: Function, keyed: pa.Schema, function: Function, schemas: Sequence[pa.Schema]
    ) -> list[pa.Table]:
        """Divide what a function makes of a table by a shuffle, and apply another to each part (see `Engine`)."""
        from daft import DataType, col
        from daft.functions import list_agg

        carrier = _Carrier(self._as_bytes)
        piece = DataType.struct({"number": DataType.int64(), "rows": DataType.binary()})
        pieces_of = DataType.list(DataType.struct({"part": DataType.int32(), "piece": piece}))

        def split(numbers: Any, batches: Any) -> pa.Array:
            each = zip(numbers.to_pylist(), batches.to_arrow(), strict=True)
            return _pieces(
                [(number, part, carrier.pack([rows])) for part, rows in divided(divide(carrier.batch(batch))[0])]
                for number, batch in each
            )

        def work(pieces: Any) -> pa.Array:
            return _blobs([carrier.pack(function(_joined(each, carrier))) for each in pieces.to_arrow()])

        found = self._source(table, carrier).select(_task(split, pieces_of)(col("number"), col("batch")).alias("found"))
        pieces = found.explode("found").select(col("found").get("part"), col("found").get("piece"))
        parts = pieces.where(col("part").not_null()).groupby("part").agg(list_agg(col("piece")))
        results = parts.select("part", _task(work, DataType.binary())(col("piece")).alias("result"))
        ordered = sorted(_rows(results), key=lambda row: row["part"].as_py())
        return gathered((carrier.unpack(row["result"]) for row in ordered), schemas)

    def _source(self, table: pa.Table, carrier: _Carrier) -> Any:
        """Return the batches of a table as a frame of `number` and `batch`."""
        import daft

        starts = range(0, max(1, table.num_rows), self._batch_rows)
        batches = [carrier.pack([table.slice(start, self._batch_rows)]) for start in starts]
        return daft.from_arrow(
            pa.table({"number": pa.array(range(len(batches)), pa.int64()), "batch": _blobs(batches)})
        )


class _Carrier:
    """Tables on their way between tasks: as their bytes on a cluster, else under a number in this process."""

    def __init__(self, as_bytes: bool) -> None:
        self._as_bytes = as_bytes
        self._held: dict[bytes, Sequence[pa.Table]] = {}
        self._numbers = itertools.count()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the tables behind: Daft serialises every function, also those that run in this process."""
        return {**self.__dict__, "_held": {}}

    def pack(self, tables: Sequence[pa.Table]) -> bytes:
        """Return what stands for tables; each is unpacked once."""
        if not self._as_bytes:
            number = next(self._numbers).to_bytes(8, "little")
            self._held[number] = tables
            return number
        sink = pa.BufferOutputStream()
        for table in tables:
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        packed: bytes = sink.getvalue().to_pybytes()
        return packed

    def unpack(self, packed: pa.Scalar) -> Sequence[pa.Table]:
        """Return the tables; those of a cluster look into the bytes."""
        if not self._as_bytes:
            return self._held.pop(packed.as_py())
        reader = pa.BufferReader(packed.as_buffer())
        found = []
        while reader.tell() < reader.size():
            found.append(pa.ipc.open_stream(reader).read_all())
        return found

    def batch(self, packed: pa.Scalar) -> pa.Table:
        """Return one table, each column in one chunk."""
        (table,) = self.unpack(packed)
        return table.combine_chunks()


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


def _joined(pieces: pa.Scalar, carrier: _Carrier) -> pa.Table:
    """Put the pieces of a part together in the order of the batches that they came from."""
    order = np.argsort(pieces.values.field("number").to_numpy(zero_copy_only=False))
    rows = pieces.values.field("rows")
    return pa.concat_tables([carrier.unpack(rows[int(place)])[0] for place in order]).combine_chunks()


def _blobs(packed: Sequence[bytes]) -> pa.Array:
    return pa.array(packed, pa.large_binary())


def _pieces(batches: Iterable[Sequence[tuple[int, int, bytes]]]) -> pa.Array:
    """Return, per batch, the list of its parts and their rows.

    Args:
        batches: For each piece of each batch the number of the batch, the part, and what stands for the rows.
    """
    piece = pa.struct([("number", pa.int64()), ("rows", pa.large_binary())])
    found = [
        [{"part": part, "piece": {"number": number, "rows": rows}} for number, part, rows in pieces]
        for pieces in batches
    ]
    return pa.array(found, pa.large_list(pa.struct([("part", pa.int32()), ("piece", piece)])))
