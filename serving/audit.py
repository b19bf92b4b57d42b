"""Who changed what, or tried to: a line in the log for each mutation, whatever became of it.

What was asked for is told as it was, but for the user who is to be erased: of that one's id a hash is told, the one in
the table `erased_users`.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from graphql import GraphQLError, GraphQLSchema
from graphql.execution.values import get_variable_values

from contracts.people import hash_of
from serving.access import Client, Denied
from serving.costs import arguments_of
from serving.documents import Operation
from serving.request import GraphQLRequest
from serving.turns import LineFull

_log = structlog.get_logger(__name__)
_LONGEST: Final = 200
"""Characters of an argument that are told."""


@dataclass
class Line:
    """What is to be written of a mutation once it has ended."""

    correlation_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Told to the client, and on every line of the log that the mutation has caused."""
    outcome: str = "abandoned"
    codes: list[str] = field(default_factory=list)
    """Of the errors in its answer."""


class Audit:
    """Writes down mutations of a schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema

    def refused(self, request: GraphQLRequest, operation: Operation, client: Client, denied: Denied) -> None:
        """Somebody has tried what the key may not do."""
        told = {"client": client.name, "asked": self._asked(request, operation), "missing": sorted(denied.missing)}
        _log.warning("mutation_refused", **told)

    @contextmanager
    def of(self, request: GraphQLRequest, operation: Operation, client: str) -> Iterator[Line]:
        """What is run within the block is the mutation; its line is written at the end, with what was noted."""
        line = Line()
        with structlog.contextvars.bound_contextvars(correlation_id=line.correlation_id):
            try:
                yield line
            except LineFull:
                line.outcome = "refused"
                raise
            finally:
                asked = self._asked(request, operation)
                _log.info("mutation", client=client, asked=asked, outcome=line.outcome, codes=line.codes)

    def _asked(self, request: GraphQLRequest, operation: Operation) -> list[dict[str, Any]]:
        """Each root with its arguments; without them where variables do not fit."""
        variables = get_variable_values(self._schema, operation.variables, request.variables)
        asked = []
        for root in operation.roots:
            arguments: Mapping[str, Any] = {}
            if not isinstance(variables, list):
                with suppress(GraphQLError):
                    arguments = arguments_of(self._schema.mutation_type, root.node, variables)
            asked.append({"root": root.node.name.value, **dict(map(_shown, arguments.items()))})
        return asked


def _shown(argument: tuple[str, Any]) -> tuple[str, str]:
    name, value = argument
    if name == "userId":
        return "userHash", hash_of(value).hex()
    return name, str(value)[:_LONGEST]
