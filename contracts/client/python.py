"""Python text: names, classes and functions, laid out as a formatter would."""

import keyword
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

_WIDTH: Final = 120
_USED: Final = frozenset({"bool", "datetime", "field", "float", "int", "list", "str", "timedelta"})
"""What stands in annotations and defaults of a class, and so must mean there what it means elsewhere."""


class Field(NamedTuple):
    """Of a class."""

    name: str
    """As GraphQL has it."""
    type: str
    description: str | None
    optional: bool
    """Whether it may be left out; then it is None."""


class Argument(NamedTuple):
    """Of a function."""

    name: str
    """As GraphQL has it."""
    type: str
    optional: bool
    """The same."""


def name(told: str) -> str:
    """GraphQL's `topProducts` as `top_products`, and `from` as `from_`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", told).lower().strip("_")
    return f"{snake}_" if keyword.iskeyword(snake) or snake in _USED else snake


def class_name(told: str) -> str:
    """GraphQL's `topProducts` as `TopProducts`."""
    bare = told.strip("_")
    return bare[:1].upper() + bare[1:]


def constant(name_: str, text: str) -> str:
    """A name for a text of several lines."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'{name_}: Final = """\\\n{escaped.rstrip()}\n"""\n'


def struct(name_: str, description: str | None, fields: Sequence[Field]) -> str:
    """A class of msgspec's with the fields."""
    lines = [f"class {name_}(Struct, frozen=True, kw_only=True, omit_defaults=True):", *_docstring(description)]
    if description:
        lines.append("")
    for each in fields:
        spelt = name(each.name)
        options = [f'name="{each.name}"'] if spelt != each.name else []
        options += ["default=None"] if each.optional and options else []
        default = f" = field({', '.join(options)})" if options else " = None" if each.optional else ""
        lines += [f"    {spelt}: {each.type}{default}", *_docstring(each.description)]
    return "\n".join(lines) + "\n"


def enum(name_: str, description: str | None, values: Mapping[str, str | None]) -> str:
    """An enumeration of texts."""
    lines = [f"class {name_}(StrEnum):", *_docstring(description)]
    if description:
        lines.append("")
    for value, meaning in values.items():
        lines += [f'    {value} = "{value}"', *_docstring(meaning)]
    return "\n".join(lines) + "\n"


def function(name_: str, returns: str, says: str, arguments: Sequence[Argument], body: Mapping[str, str]) -> str:
    """A function that returns an object made of the body, and its variables."""
    lines = [f"def {name_}() -> {returns}:"]
    if arguments:
        taken = [f"    {name(each.name)}: {each.type}{' = None' if each.optional else ''}," for each in arguments]
        lines = [f"def {name_}(", "    *,", *taken, f") -> {returns}:"]
    given = [f'            "{each.name}": {name(each.name)},' for each in arguments]
    variables = ["        variables={", *given, "        },"] if given else ["        variables={},"]
    told = [f"        {key}={value}," for key, value in body.items()]
    called = returns.partition("[")[0]
    lines += [*_docstring(says), f"    return {called}(", *told, *variables, "    )"]
    return "\n".join(lines) + "\n"


def _docstring(text: str | None) -> list[str]:
    """Of what stands one step in."""
    if not text:
        return []
    lines = textwrap.wrap(text.replace("\\", "\\\\").replace('"""', "'''"), _WIDTH - 7)
    if len(lines) == 1 and len(lines[0]) <= _WIDTH - 10 and not lines[0].endswith('"'):
        return [f'    """{lines[0]}"""']
    return [f'    """{lines[0]}', *(f"    {line}" for line in lines[1:]), '    """']
