"""What clients of the gateway were promised: its description as of the last promise, and what of it is no longer kept.

`contracts/gateway.promised.openapi.json` is written by `python -m contracts promise`, at a release. Adding is free:
paths, media types, fields that need not be sent, fields of answers. What was taken has to be taken, and what was
answered has to be answered; a new value of an enumeration in an answer is an addition: clients must be ready for it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

DESCRIBED: Final = Path(__file__).resolve().parent / "gateway.openapi.json"
PROMISED: Final = DESCRIBED.with_name("gateway.promised.openapi.json")

Json = dict[str, Any]
_VERBS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_AT_MOST: Final = ("maxLength", "maximum", "maxItems", "maxProperties")
_AT_LEAST: Final = ("minLength", "minimum", "minItems", "minProperties")
_FORMS: Final = ("pattern", "format", "contentEncoding", "const")
_CHOICES: Final = ("oneOf", "anyOf", "allOf")


def broken(promised: Json, described: Json) -> list[str]:
    """What a description breaks of the promised one, each with its path, place and field."""
    return sorted(_of_paths(_whole(promised, promised), _whole(described, described)))


def promise(described: Path = DESCRIBED, promised: Path = PROMISED) -> list[str]:
    """Promise the description, unless it breaks what was promised; returns what it breaks."""
    text = described.read_text("utf-8")
    broke = broken(json.loads(promised.read_text("utf-8")), json.loads(text)) if promised.exists() else []
    if not broke:
        promised.write_text(text, "utf-8")
    return broke


def _whole(part: Any, document: Json) -> Any:
    """With every reference in its place. A description whose schemas contain themselves is not read."""
    if isinstance(part, list):
        return [_whole(each, document) for each in part]
    if not isinstance(part, dict):
        return part
    if isinstance(reference := part.get("$ref"), str):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return _whole(found, document)
    return {name: _whole(each, document) for name, each in part.items()}


def _of_paths(before: Json, after: Json) -> Iterator[str]:
    for path, item in before["paths"].items():
        for verb in (verb for verb in _VERBS if verb in item):
            where = f"{verb.upper()} {path}"
            now = after["paths"].get(path, {})
            if verb not in now:
                yield f"{where} is gone"
                continue
            yield from _of_parameters(where, _parameters(item, verb), _parameters(now, verb))
            yield from _of_body(where, item[verb].get("requestBody", {}), now[verb].get("requestBody", {}))
            yield from _of_answers(where, item[verb]["responses"], now[verb]["responses"])


def _parameters(item: Json, verb: str) -> Json:
    both = [*item.get("parameters", []), *item[verb].get("parameters", [])]
    return {f"{each['in']} parameter {each['name']}": each for each in both}


def _of_parameters(where: str, before: Json, after: Json) -> Iterator[str]:
    yield from (f"{where}: {name} is gone" for name in before.keys() - after.keys())
    for name, parameter in after.items():
        was = before.get(name)
        if parameter.get("required") and not (was and was.get("required")):
            yield f"{where}: {name} has to be given"
        if was:
            yield from _narrower(f"{where}: {name}", was.get("schema", {}), parameter.get("schema", {}))


def _of_body(where: str, before: Json, after: Json) -> Iterator[str]:
    if after.get("required") and not before.get("required"):
        yield f"{where}: a body has to be sent"
    for media, content in before.get("content", {}).items():
        if media not in after.get("content", {}):
            yield f"{where}: a body of {media} is not taken"
        else:
            yield from _narrower(f"{where}: body", content.get("schema", {}), after["content"][media].get("schema", {}))


def _of_answers(where: str, before: Json, after: Json) -> Iterator[str]:
    for status, answer in before.items():
        if status not in after:
            if status.startswith("2"):
                yield f"{where}: {status} is never answered"
            continue
        for media, content in answer.get("content", {}).items():
            place = f"{where}: {status}"
            now = after[status].get("content", {})
            if media not in now:
                yield f"{place} has no {media}"
            else:
                yield from _poorer(place, content.get("schema", {}), now[media].get("schema", {}))


def _narrower(where: str, before: Json, after: Json) -> Iterator[str]:
    """Why not all that was taken by one schema is taken by the other."""
    yield from (
        f"{where}.{name} has to be sent" for name in {*after.get("required", [])} - {*before.get("required", [])}
    )
    if gone := _types(before) - _types(after):
        yield f"{where} may not be {', '.join(sorted(gone))}"
    if "enum" in after:
        lost = [value for value in before.get("enum", ["any other value"]) if value not in after["enum"]]
        yield from (f"{where} may not be {value}" for value in lost)
    for limit in _AT_MOST:
        if limit in after and after[limit] < before.get(limit, float("inf")):
            yield f"{where}: {limit} is {after[limit]}"
    for limit in _AT_LEAST:
        if limit in after and after[limit] > before.get(limit, float("-inf")):
            yield f"{where}: {limit} is {after[limit]}"
    yield from (f"{where}: {form} is another" for form in _FORMS if form in after and after[form] != before.get(form))
    if after.get("additionalProperties") is False and before.get("additionalProperties") is not False:
        yield f"{where}: other fields are not taken"
    closed = after.get("additionalProperties") is False
    for name, field in before.get("properties", {}).items():
        if name in after.get("properties", {}):
            yield from _narrower(f"{where}.{name}", field, after["properties"][name])
        elif closed:
            yield f"{where}.{name} is not taken"
    yield from _within(where, before, after, _narrower)


def _poorer(where: str, before: Json, after: Json) -> Iterator[str]:
    """Why what is answered by one schema lacks something of the other."""
    always = {*before.get("required", [])}
    for name, field in before.get("properties", {}).items():
        if name not in after.get("properties", {}):
            yield f"{where}.{name} is gone"
        else:
            yield from _poorer(f"{where}.{name}", field, after["properties"][name])
            if name in always and name not in after.get("required", []):
                yield f"{where}.{name} may be missing"
    if more := _types(after) - _types(before):
        yield f"{where} may be {', '.join(sorted(more))}"
    yield from (f"{where}: {form} is another" for form in _FORMS if form in before and after.get(form) != before[form])
    yield from _within(where, before, after, _poorer)


def _within(where: str, before: Json, after: Json, compare: Any) -> Iterator[str]:
    """What holds of elements, of other fields and of each of several shapes, which are told apart by their order."""
    for inner in ("items", "additionalProperties"):
        if isinstance(before.get(inner), dict) and isinstance(after.get(inner), dict):
            yield from compare(f"{where}[]", before[inner], after[inner])
    for choice in _CHOICES:
        shapes, now = before.get(choice, []), after.get(choice, [])
        if len(now) < len(shapes):
            yield f"{where} has {len(now)} shapes instead of {len(shapes)}"
        for number, (shape, other) in enumerate(zip(shapes, now, strict=False), start=1):
            yield from compare(f"{where}({number})", shape, other)


_ANY: Final = frozenset({"null", "boolean", "number", "string", "array", "object"})


def _types(schema: Json) -> frozenset[str]:
    """Every whole number is a number."""
    told = schema.get("type")
    if told is None:
        return _ANY | {"integer"}
    kinds = {told} if isinstance(told, str) else {*told}
    return frozenset(kinds | {"integer"} if "number" in kinds else kinds)
