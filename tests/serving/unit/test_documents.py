"""Documents: what is over a limit by its shape costs nothing, and which answers hold for a whole epoch."""

import pytest

from serving.documents import Documents, Operation, Unusable
from serving.limits import Shape
from serving.schema import build_schema

pytestmark = pytest.mark.unit

SCHEMA = build_schema()._schema
SHAPE = Shape(max_tokens=2000, max_depth=12, max_aliases=30, max_fields=500)


def read(text: str, name: str | None = None) -> Operation | Unusable:
    return Documents(SCHEMA, SHAPE).operation(text, name)


def chain(spreads: int) -> str:
    """Fragments that each spread the next one so often: fields grow with its power."""
    links = " ".join(f"fragment F{n} on AsOf {{ {f'...F{n + 1} ' * spreads}}}" for n in range(60))
    return f"{{ asOf {{ ...F0 }} }} {links} fragment F60 on AsOf {{ epoch }}"


HUGE = {
    "depth": "{ asOf " + "{ asOf " * 50 + "{ epoch }" + "}" * 51,
    "nested inline fragments": "{" + "... on Query {" * 60 + "asOf { epoch }" + "}" * 61,
    "cycle": "fragment A on Query { ...B } fragment B on Query { ...A } { ...A }",
    "own cycle": "fragment A on AsOf { epoch ...A } { asOf { ...A } }",
    "doubling fragments": chain(2),
    "ten-fold fragments": chain(10),
    "aliases": "{" + " ".join(f"a{n}: asOf {{ epoch }}" for n in range(40)) + "}",
    "aliases by fragments": "fragment A on Query { a: asOf { b: epoch } } {" + "...A " * 20 + "}",
    "fields": "{ asOf {" + "epoch " * 600 + "} }",
    "tokens": "{ asOf {" + "epoch " * 10_000 + "} }",
    "directives": "{ asOf { epoch " + "@skip(if: false) " * 10_000 + "} }",
    "variables": "query(" + " ".join(f"$v{n}: Int" for n in range(10_000)) + ") { asOf { epoch } }",
    "comments": "#\n" * 10_000 + "{ asOf { epoch } }",
    "braces": "{" * 1990,
    "lists": "{ asOf(x: " + "[" * 1900 + "]) { epoch } }",
    "directive of a draft": "{ ... @defer { asOf { epoch } } }",
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE.keys())
def test_a_document_out_of_shape_is_refused_before_it_costs_anything(text: str) -> None:
    found = read(text)  # 2^60 fields would take for ever
    if text.startswith("{... on Query"):
        assert isinstance(found, Operation), "inline fragments add no level"
    else:
        assert isinstance(found, Unusable)
        assert {(error.extensions or {})["code"] for error in found.errors} == {"BAD_REQUEST"}


def test_the_newest_documents_are_read_once() -> None:
    documents = Documents(SCHEMA, SHAPE)
    assert documents.operation("{ asOf { epoch } }", None) is documents.operation("{ asOf { epoch } }", None)
    bad = documents.operation("{ nope }", None)
    assert bad is documents.operation("{ nope }", None)


def test_an_operation_is_chosen_by_name() -> None:
    two = "query A { asOf { epoch } } query B { asOf { watermark } }"
    chosen = read(two, "B")
    assert isinstance(chosen, Operation)
    assert chosen.name == "B"
    for name in (None, "C"):
        assert isinstance(read(two, name), Unusable)
    assert isinstance(read("query A { asOf { epoch } }", "B"), Unusable)


@pytest.mark.parametrize(
    ("text", "epochal"),
    [
        ("{ asOf { epoch watermark } }", True),
        ("{ asOf { epoch lagSeconds } }", False),
        ("{ asOf { ...F } } fragment F on AsOf { ... on AsOf { lagSeconds } }", False),
        ("{ ...F } fragment F on Query { users { nodes { id } } }", True),
        ("{ ...F } fragment F on Query { users { nodes { id } } books { close } }", False),
        ("{ realtime { asOf { lag: lagSeconds } } }", False),
        ("{ __typename }", False),
        ("{ __schema { types { name } } }", False),
        ("subscription { realtime { asOf { lagSeconds } } }", True),
    ],
)
def test_what_is_the_same_for_a_whole_epoch_is_known(text: str, epochal: bool) -> None:
    found = read(text)
    assert isinstance(found, Operation), found
    assert found.epochal is epochal
