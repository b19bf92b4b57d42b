"""Documents: what is over a limit by its shape costs nothing, and which answers hold for a whole epoch."""

import pytest

from serving.documents import Documents, Operation, Unusable
from serving.limits import Shape
from serving.schema import build_schema
from serving.settings import ServingSettings

pytestmark = pytest.mark.unit

SCHEMA = build_schema()._schema
SHAPE = Shape.of(ServingSettings())


def read(text: str, name: str | None = None) -> Operation | Unusable:
    return Documents(SCHEMA, SHAPE).operation(text, name)


def chain(spreads: int, links: int) -> str:
    """Fragments that each spread the next one so often: fields grow with its power."""
    each = " ".join(f"fragment F{n} on AsOf {{ {f'...F{n + 1} ' * spreads}}}" for n in range(links))
    return f"{{ asOf {{ ...F0 }} }} {each} fragment F{links} on AsOf {{ epoch }}"


def side_by_side(fragments: int) -> str:
    each = " ".join(f"fragment F{n} on AsOf {{ epoch }}" for n in range(fragments))
    return f"{{ asOf {{ {' '.join(f'...F{n}' for n in range(fragments))} }} }} {each}"


HUGE = {
    "depth": "{ asOf " + "{ asOf " * 50 + "{ epoch }" + "}" * 51,
    "nested inline fragments": "{" + "... on Query {" * 60 + "asOf { epoch }" + "}" * 61,
    "doubling fragments": chain(2, 48),
    "ten-fold fragments": chain(10, 48),
    "chain of a thousand fragments": chain(1, 1000),
    "chain of fragments": chain(1, 60),
    "fragments side by side": side_by_side(60),
    "operations": " ".join(f"query Q{n} {{ asOf {{ epoch }} }}" for n in range(60)),
    "equal fields": "{ asOf {" + "epoch " * 490 + "} }",
    "equal fields in equal ones": "{" + "asOf { epoch epoch epoch } " * 120 + "}",
    "equal fields by fragments": "fragment A on Query { asOf { ...B } } fragment B on AsOf {"
    + "epoch " * 90
    + "} {"
    + "asOf {"
    + "epoch " * 20
    + "} ...A }",
    "equal aliases": "{" + " ".join(f"asOf(epoch: {n}) {{ epoch }}" for n in range(110)) + "}",
    "aliases": "{" + " ".join(f"a{n}: asOf {{ epoch }}" for n in range(40)) + "}",
    "aliases by fragments": "fragment A on Query { a: asOf { b: epoch } } {" + "...A " * 20 + "}",
    "fields": "{ asOf {" + "epoch " * 600 + "} }",
    "tokens": "{ asOf {" + "epoch " * 10_000 + "} }",
    "directives": "{ asOf { epoch " + "@skip(if: false) " * 10_000 + "} }",
    "variables": "query(" + " ".join(f"$v{n}: Int" for n in range(10_000)) + ") { asOf { epoch } }",
    "comments": "#\n" * 10_000 + "{ asOf { epoch } }",
    "braces": "{" * 1990,
    "lists": "{ asOf(x: " + "[" * 1900 + "]) { epoch } }",
}


WRONG = {
    "cycle": "fragment A on Query { ...B } fragment B on Query { ...A } { ...A }",
    "own cycle": "fragment A on AsOf { epoch ...A } { asOf { ...A } }",
    "nested cycle": "fragment A on AsOf { epoch asOf { ...A } watermark { ...A } } { asOf { ...A } }",
    "directive of a draft": "{ ... @defer { asOf { epoch } } }",
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE.keys())
def test_a_document_out_of_shape_is_refused_before_it_costs_anything(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2^48 fields would take for ever, and 490 equal ones tens of milliseconds of everybody's time."""
    monkeypatch.setattr("serving.documents.validate", lambda *_, **__: pytest.fail("it was validated"))
    is_refused(text)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_what_validation_refuses_ends(text: str) -> None:
    is_refused(text)


def is_refused(text: str) -> None:
    found = read(text)
    assert isinstance(found, Unusable)
    assert {(error.extensions or {})["code"] for error in found.errors} == {"BAD_REQUEST"}


def test_fields_that_some_fragments_have_in_common_are_no_repeats() -> None:
    shared = " ".join(f"fragment F{n} on AsOf {{ epoch watermark }}" for n in range(40))
    found = read(f"{{ asOf {{ epoch {' '.join(f'...F{n}' for n in range(40))} }} }} {shared}")
    assert isinstance(found, Operation), found


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
        ("{ asOf { epoch lag } }", False),
        ("{ asOf { epoch lagSeconds } }", False),
        ("{ asOf { freshness } }", True),
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
