"""Relay connections: which page is asked for, and where it lies in the list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, NamedTuple, TypeVar

import strawberry

from serving.cursors import Key, Naming
from serving.errors import InvalidArgument
from serving.queries import ResultRow, Statement
from serving.queries.paging import Page
from serving.schema.common import page_size
from serving.schema.context import Info

V = TypeVar("V")
Node = TypeVar("Node")

_DEFAULT_FIRST = 20


First = Annotated[
    int | None,
    strawberry.argument(description="Size of the page, from the list's beginning or `after`; without `last`, 20."),
]
After = Annotated[str | None, strawberry.argument(description="A cursor: the page begins behind its row.")]
Last = Annotated[
    int | None, strawberry.argument(description="Size of the page, from the list's end or `before`; not with `first`.")
]
Before = Annotated[str | None, strawberry.argument(description="A cursor: the page ends ahead of its row.")]


@strawberry.type(description="Relay: where a page lies in the list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether rows follow the page.")
    has_previous_page: bool = strawberry.field(description="Whether rows are ahead of the page.")
    start_cursor: str | None = strawberry.field(
        description="Of the page's first row, for `before`; null where the page is empty."
    )
    end_cursor: str | None = strawberry.field(description="Of its last row, for `after`; null where the page is empty.")


@strawberry.type(description="A row of a list, and its place there.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(description="Opaque; hand it back as `after` or `before` of a list in this order.")
    node: Node = strawberry.field(description="The row.")


@strawberry.type(description="A page of a list (Relay).")
class Connection(Generic[Node]):
    edges: list[Edge[Node]] = strawberry.field(description="The rows with their cursors.")
    nodes: list[Node] = strawberry.field(description="The rows without their edges.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.")


class Which(NamedTuple):
    """The page that a client wants, in its own words."""

    first: int | None
    after: str | None
    last: int | None
    before: str | None


@dataclass(frozen=True)
class Asked(Generic[V]):
    """The page that the arguments of a connection ask for."""

    size: int
    naming: Naming[V]
    page: Page
    """One row longer than the page, to see whether there are more."""

    @classmethod
    def checked(
        cls,
        info: Info,
        naming: Naming[V],
        *,
        first: int | None,
        after: str | None,
        last: int | None,
        before: str | None,
    ) -> "Asked[V]":
        """The page, once sizes and cursors are known to be good.

        Raises:
            InvalidArgument: both sizes, one that is negative or over the limit, or a cursor of another list.
        """
        if first is not None and last is not None:
            raise InvalidArgument("last", "give `first` or `last`, not both")
        if last is not None:
            size = page_size("last", last, info)
        else:
            default = min(_DEFAULT_FIRST, info.context.services.settings.max_page_size)
            size = page_size("first", default if first is None else first, info)
        page = Page(
            limit=size + 1,
            after=naming.decode(after, "after") if after is not None else None,
            before=naming.decode(before, "before") if before is not None else None,
            from_end=last is not None,
        )
        return cls(size, naming, page)

    def cut(self, rows: Sequence[ResultRow]) -> list[ResultRow]:
        """The fetched rows without the one too many, in the list's order."""
        kept = list(rows[: self.size])
        return kept[::-1] if self.page.from_end else kept

    def connection(
        self, rows: Sequence[ResultRow], key: Callable[[ResultRow], Key[V]], node: Callable[[ResultRow], Node]
    ) -> Connection[Node]:
        """The page of the fetched rows, by what the place and the node of each are."""
        edges = [Edge(cursor=self.naming.encode(key(row)), node=node(row)) for row in self.cut(rows)]
        return Connection(
            edges=edges,
            nodes=[edge.node for edge in edges],
            page_info=self.info(len(rows), [edge.cursor for edge in edges]),
        )

    def info(self, fetched: int, cursors: Sequence[str]) -> PageInfo:
        """Where the page lies, by how many rows were fetched for it and its first and last cursor, at least."""
        more = fetched > self.size
        # The row of a given cursor lies outside the page, so on that side there is at least one more.
        return PageInfo(
            has_next_page=self.page.before is not None if self.page.from_end else more,
            has_previous_page=more if self.page.from_end else self.page.after is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


async def connection(
    info: Info,
    naming: Naming[V],
    which: Which,
    ask: Callable[[Page], Statement],
    *,
    key: Callable[[ResultRow], Key[V]],
    node: Callable[[ResultRow], Node],
) -> Connection[Node]:
    """The page of a list that a statement has, by what the place and the node of each row are.

    Raises:
        InvalidArgument: as `Asked.checked`.
    """
    asked = Asked.checked(info, naming, **which._asdict())
    return asked.connection(await info.context.snapshot.rows(ask(asked.page)), key, node)
