"""Rules that repair rejected events: the part of jq that a flat event needs, with jq's own syntax and meaning.

    .timestamp = $received_at           set a field; `$name` is a value given along
    .user_id |= trim                    change a field by a filter
    .timestamp |= . * 1000              + - * /, and + joins texts
    .page_url |= .[0:8192]              a slice of a text
    .category = (.category // "none")   another value for null and false
    del(.foo, .properties["odd name"])  remove fields
    .product_id = .sku | del(.sku)      one step after another

The filters are in `stack.patch_filters`. Each has one result here, so there is no `,` but in `del`, and no `.[]`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from stack.errors import PatchError
from stack.patch_filters import FILTERS, OPERATIONS, WITH_TEXT, from_json, is_nothing, member, remove, replace, slice_of

Given = Mapping[str, Any]
"""What `$name` stands for."""
Filter = Callable[[Any, Given], Any]

_TOKEN: Final = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>\d+(?:\.\d+)?)|(?P<field>\.[A-Za-z_]\w*)|(?P<given>\$[A-Za-z_]\w*)'
    r"|(?P<name>[a-z_]\w*)|(?P<sign>\|=|//|[.|=+\-*/()\[\],:])|(?P<end>$)|(?P<odd>.))",
    re.ASCII | re.DOTALL,
)
_MAX_DEPTH: Final = 50


@dataclass(frozen=True)
class _Path:
    """A filter that can be written through as well: `.a.b`."""

    keys: tuple[str, ...]

    def __call__(self, value: Any, _: Given) -> Any:
        for key in self.keys:
            value = member(value, key)
        return value


def parse_rule(rule: str) -> Filter:
    """The filter of a rule. Raises PatchError, as the filter does where it has no meaning for what it is given."""
    return _Parser(rule).whole()


class _Parser:
    """Recursive descent with a method per level of precedence, loosest first."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._matches = list(_TOKEN.finditer(rule))
        self._at = 0
        self._depth = 0

    def whole(self) -> Filter:
        found = self._pipe()
        if self._kind != "end":
            self._fail()
        return found

    @property
    def _kind(self) -> str:
        return self._matches[self._at].lastgroup or ""

    @property
    def _token(self) -> str:
        return self._matches[self._at][self._kind]

    def _next(self) -> str:
        token = self._token
        self._at += 1
        return token

    def _takes(self, *signs: str) -> str | None:
        """Step over the next token if it is one of these signs."""
        return self._next() if self._kind == "sign" and self._token in signs else None

    def _expect(self, sign: str) -> None:
        if self._takes(sign) is None:
            self._fail()

    def _fail(self, at: int | None = None) -> NoReturn:
        match = self._matches[self._at if at is None else at]
        rest = self._rule[match.start(match.lastgroup or 0) :]
        where = f"from {rest[:20]!r} on" if rest else "because it ends too early"
        raise PatchError(f"The rule is not understood {where}: {self._rule}")

    def _pipe(self) -> Filter:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._fail()
        found = self._alternative()
        while self._takes("|"):
            found = _after(found, self._alternative())
        self._depth -= 1
        return found

    def _alternative(self) -> Filter:
        found = self._assignment()
        while self._takes("//"):
            found = _or_else(found, self._assignment())
        return found

    def _assignment(self) -> Filter:
        start = self._at
        target = self._sum()
        sign = self._takes("=", "|=")
        if sign is None:
            return target
        change = self._sum()
        if not isinstance(target, _Path):
            self._fail(start)
        return _assigning(target.keys, change, of_whole=sign == "=")

    def _sum(self) -> Filter:
        found = self._product()
        while sign := self._takes("+", "-"):
            found = _binary(sign, found, self._product())
        return found

    def _product(self) -> Filter:
        found = self._postfix()
        while sign := self._takes("*", "/"):
            found = _binary(sign, found, self._postfix())
        return found

    def _postfix(self) -> Filter:
        found = self._primary()
        while True:
            if self._kind == "field":
                found = _into(found, self._next()[1:])
            elif self._takes("["):
                found = self._bracket(found)
            else:
                return found

    def _bracket(self, found: Filter) -> Filter:
        """A name or a slice, and the closing bracket."""
        if self._kind == "text":
            found = _into(found, self._literal())
        else:
            start = self._bound()
            self._expect(":")
            stop = self._bound()
            found = _after(found, lambda value, _: slice_of(value, start, stop))
        self._expect("]")
        return found

    def _primary(self) -> Filter:
        if self._kind == "field" or self._takes("."):
            return _Path(())
        if self._takes("("):
            inside = self._pipe()
            self._expect(")")
            return inside
        if self._kind in ("text", "number") or self._token in ("null", "true", "false"):
            literal = self._literal()
            return lambda _, __: literal
        if self._kind == "given":
            name = self._next()[1:]
            return lambda _, given: _value_of(given, name)
        if self._kind != "name":
            self._fail()
        return self._call()

    def _call(self) -> Filter:
        name = self._next()
        if name in FILTERS:
            return lambda value, _: FILTERS[name](value)
        if name != "del" and name not in WITH_TEXT:
            raise PatchError(f"There is no filter {name!r}; there are {', '.join((*FILTERS, *WITH_TEXT, 'del'))}.")
        self._expect("(")
        arguments = [self._sum()]
        while name == "del" and self._takes(","):
            arguments.append(self._sum())
        self._expect(")")
        if name == "del":
            return _deleting(
                [path.keys if isinstance(path, _Path) and path.keys else self._fail() for path in arguments]
            )
        return lambda value, given: WITH_TEXT[name](value, arguments[0](value, given))

    def _bound(self) -> int | None:
        if self._kind == "number" and not self._token.isdecimal():
            self._fail()
        return int(self._next()) if self._kind == "number" else None

    def _literal(self) -> Any:
        at = self._at
        try:
            return from_json(self._next())
        except PatchError:
            self._fail(at)


def _after(first: Filter, then: Filter) -> Filter:
    return lambda value, given: then(first(value, given), given)


def _or_else(first: Filter, other: Filter) -> Filter:
    def choose(value: Any, given: Given) -> Any:
        found = first(value, given)
        return other(value, given) if is_nothing(found) else found

    return choose


def _into(found: Filter, key: str) -> Filter:
    return _Path((*found.keys, key)) if isinstance(found, _Path) else _after(found, _Path((key,)))


def _assigning(keys: tuple[str, ...], change: Filter, *, of_whole: bool) -> Filter:
    """`=` computes from the whole event, `|=` from the old value."""
    return lambda value, given: replace(value, keys, lambda old: change(value if of_whole else old, given))


def _deleting(paths: list[tuple[str, ...]]) -> Filter:
    def delete(value: Any, _: Given) -> Any:
        for keys in paths:
            value = remove(value, keys)
        return value

    return delete


def _binary(sign: str, left: Filter, right: Filter) -> Filter:
    return lambda value, given: OPERATIONS[sign](left(value, given), right(value, given))


def _value_of(given: Given, name: str) -> Any:
    if name not in given:
        raise PatchError(f"There is no ${name}; there are {', '.join(f'${known}' for known in given)}.")
    return given[name]
