"""A column as its distinct values and, per row, which one: so that work is done once per distinct value."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

T = TypeVar("T", bound=Hashable)
U = TypeVar("U", bound=Hashable)


@dataclass(frozen=True)
class Factored(Generic[T]):
    """Distinct values, None among them, and each row's place in the list of them (never null)."""

    values: list[T]
    index: pa.Array

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        """The column, row by row."""
        encoded = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
        return cls(encoded.dictionary.to_pylist(), encoded.indices)

    def becomes(self, values: list[U]) -> "Factored[U]":
        """The same rows with another value in the place of each distinct one; `values` in their order."""
        places: dict[U, int] = {}
        moved = [places.setdefault(value, len(places)) for value in values]
        return Factored(list(places), pa.array(moved, pa.int64()).take(self.index))

    def beside(self, other: "Factored[U]") -> "Factored[tuple[T, U]]":
        """The same rows with the pairs of both values, as many distinct ones as occur."""
        width = len(other.values)
        pairs = pc.add(pc.multiply(self.index.cast(pa.int64()), width), other.index.cast(pa.int64()))
        encoded = pc.dictionary_encode(pairs)
        values = [(self.values[pair // width], other.values[pair % width]) for pair in encoded.dictionary.to_pylist()]
        return Factored(values, encoded.indices)

    def columns(self, rows: Sequence[tuple[object, ...]], fields: Sequence[pa.Field]) -> list[pa.Array]:
        """A column per field, from one row of values per distinct value."""
        by_field = zip(*rows, strict=True) if rows else ((),) * len(fields)
        return [pa.array(values, field.type).take(self.index) for values, field in zip(by_field, fields, strict=True)]
