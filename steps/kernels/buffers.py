"""Arrow columns as the flat arrays that a compiled loop reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class Texts(NamedTuple):
    """A text column: text `i` is the UTF-8 of `data[offsets[i]:offsets[i + 1]]`.

    Attributes:
        data: Shape (bytes,), uint8. Not copied where Arrow holds the column in one piece.
        offsets: Shape (texts + 1,), int64.
    """

    data: Bytes
    offsets: Offsets

    @property
    def n(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1


def texts_of(column: pa.Array | pa.ChunkedArray) -> Texts:
    """Return the buffers of a string column; a null reads as an empty text.

    >>> texts = texts_of(pa.array(["ab", None, "c"]))
    >>> bytes(texts.data), texts.offsets.tolist()
    (b'abc', [0, 2, 2, 3])
    """
    array = pc.fill_null(column, "").cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # a column without rows has no chunk to combine
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.large_string())
    _, offsets, data = array.buffers()
    if len(array) == 0 or offsets is None:
        return Texts(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    flat = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    start = int(bounds[0])
    return Texts(flat[start : int(bounds[-1])], bounds - start if start else bounds)
