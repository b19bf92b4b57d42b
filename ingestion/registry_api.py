"""The schemas over HTTP as Confluent's Schema Registry serves them, so that stock serializers work with this stack.

Everything clients read is here. Nothing can be changed over the wire: schemas are files of the repository, checked and
given their ids there. A client that registers what is registered gets its id, as serializers with `auto.register` do.
No key is asked for: schemas are no secret, they are in `/openapi.json` as well.

Paths, bodies and error codes are those of Confluent Platform 8 (`RestService.java`, `Errors.java`).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

from contracts.topics import Topic
from ingestion.answers import Answer
from ingestion.body import BodySource, Budget, read_body
from ingestion.patience import Patience
from ingestion.registry_wire import Call, RegistryError, problem, reply_with, whole_number
from ingestion.request import Scope
from ingestion.routes import Handler, Route
from ingestion.schema_lookup import InvalidSchemaError, conflicts, find_same, parse_candidate
from schemas_avro import RegisteredSchema, Registry

PREFIX: Final = "/registry"
COMPATIBILITY: Final = "FULL_TRANSITIVE"
_MAX_BODY_BYTES: Final = 256 * 1024
_MAX_BUFFERED_BYTES: Final = 16 * _MAX_BODY_BYTES
_MAX_VERSION: Final = 2**31 - 1
_MAX_MESSAGES: Final = 100
_READ_ONLY: Final = "Schemas are files of the repository; add a version to schemas_avro/ and its lock."


Reply = Callable[[Call], Any]


class RegistryApi:
    """Answers from the registry of this process. Subjects are named after topics: `<topic>-value`."""

    def __init__(
        self, registry: Registry, topics: Iterable[Topic], topic_prefix: str, read_timeout_seconds: float
    ) -> None:
        self._registry = registry
        self._subjects = {f"{topic_prefix}{topic.name}-value": topic.subject for topic in topics if topic.subject}
        self._names = {subject: name for name, subject in self._subjects.items()}
        self._patience = Patience(read_timeout_seconds)
        self._budget = Budget(_MAX_BUFFERED_BYTES)

    def routes(self) -> list[Route]:
        """Every path under `/registry`, the fixed ones first."""
        subject, version = "/subjects/{subject}", "/subjects/{subject}/versions/{version}"
        compatibility, refused = f"/compatibility{subject}/versions", self._refuse
        table: list[tuple[str, dict[str, Reply]]] = [
            ("", {"GET": lambda _: {}}),
            ("/", {"GET": lambda _: {}}),
            ("/contexts", {"GET": lambda call: call.page(["."])}),
            ("/config", {"GET": lambda _: {"compatibilityLevel": COMPATIBILITY}, "PUT": refused, "DELETE": refused}),
            ("/config/{subject}", {"GET": self._subject_config, "PUT": refused, "DELETE": refused}),
            ("/mode", {"GET": lambda _: {"mode": "READONLY"}, "PUT": refused}),
            ("/mode/{subject}", {"GET": self._subject_mode, "PUT": refused, "DELETE": refused}),
            ("/schemas", {"GET": self._schemas}),
            ("/schemas/types", {"GET": lambda _: ["AVRO"]}),
            ("/schemas/ids/{id}", {"GET": lambda call: {"schema": self._by_id(call).text}}),
            ("/schemas/ids/{id}/schema", {"GET": lambda call: self._by_id(call).definition}),
            ("/schemas/ids/{id}/subjects", {"GET": self._subjects_of_id}),
            ("/schemas/ids/{id}/versions", {"GET": self._versions_of_id}),
            ("/schemas/guids/{guid}", {"GET": self._no_guid}),
            ("/subjects", {"GET": self._list_subjects}),
            (subject, {"POST": self._look_up, "DELETE": refused}),
            (f"{subject}/metadata", {"GET": self._latest_with_metadata}),
            (f"{subject}/versions", {"GET": self._list_versions, "POST": self._register}),
            (version, {"GET": lambda call: self._told(self._version(call)), "DELETE": refused}),
            (f"{version}/schema", {"GET": lambda call: self._version(call).definition}),
            (f"{version}/referencedby", {"GET": self._referenced_by}),
            (compatibility, {"POST": self._check_all}),
            (f"{compatibility}/{{version}}", {"POST": self._check_one}),
            ("/associations/resources/{namespace}/{topic}", {"GET": self._no_association}),
        ]
        return [
            Route(PREFIX + path, {method: self._handler(method, reply) for method, reply in replies.items()},
                  problem=problem)
            for path, replies in table
        ]  # fmt: skip

    def _handler(self, method: str, reply: Reply) -> Handler:
        has_body = method in ("POST", "PUT")

        async def handle(scope: Scope, exchange: BodySource, *parts: str) -> Answer:
            query = dict(parse_qsl(scope.query_string, keep_blank_values=True))
            try:
                if not has_body:
                    return reply_with(200, reply(Call(parts, query)))
                return await self._with_body(scope, exchange, lambda body: reply(Call(parts, query, body)))
            except InvalidSchemaError as error:
                refused = RegistryError(42201, str(error))
            except RegistryError as error:
                refused = error
            return reply_with(int(str(refused.code)[:3]), {"error_code": refused.code, "message": refused.message})

        return handle

    async def _with_body(self, scope: Scope, exchange: BodySource, reply: Callable[[bytes], Any]) -> Answer:
        length = scope.headers.get("content-length")
        body = await read_body(exchange, length, _MAX_BODY_BYTES, self._patience, self._budget)
        try:
            return reply_with(200, await asyncio.to_thread(reply, body))  # a large schema takes its time
        finally:
            self._budget.release(len(body))

    def _refuse(self, _: Call) -> Any:
        raise RegistryError(42205, _READ_ONLY)

    def _versions_of(self, name: str) -> tuple[RegisteredSchema, ...]:
        subject = self._subjects.get(name)
        if subject is None:
            raise RegistryError(40401, f"Subject '{name[:256]}' not found.")
        return self._registry.versions(subject)

    def _version(self, call: Call) -> RegisteredSchema:
        versions, stated = self._versions_of(call.parts[0]), call.parts[1]
        if stated in ("latest", "-1"):
            return versions[-1]
        number = whole_number(stated)
        if number is None or not 1 <= number <= _MAX_VERSION:
            allowed = f'Allowed values are between [1, {_MAX_VERSION}] and the string "latest"'
            raise RegistryError(42202, f"The specified version '{stated[:64]}' is not a valid version id. {allowed}")
        found = next((schema for schema in versions if schema.version == number), None)
        if found is None:
            raise RegistryError(40402, f"Version {number} not found.")
        return found

    def _referenced_by(self, call: Call) -> list[int]:
        self._version(call)
        return []  # no schema here refers to another

    def _by_id(self, call: Call) -> RegisteredSchema:
        number = whole_number(call.parts[0])
        found = None if number is None else self._registry.by_id(number)
        if found is None:
            raise RegistryError(40403, f"Schema {call.parts[0][:64]} not found")
        return found

    def _told(self, schema: RegisteredSchema) -> dict[str, Any]:
        name = self._names[schema.subject]
        return {"subject": name, "version": schema.version, "id": schema.id, "schema": schema.text}

    def _schemas(self, call: Call) -> list[dict[str, Any]]:
        prefix = call.query.get("subjectPrefix", "")
        found = [self._told(schema) for schema in self._registry.schemas if schema.subject in self._names]
        latest = {name: self._versions_of(name)[-1].id for name in self._subjects}
        return call.page(
            [
                told for told in found
                if told["subject"].startswith(prefix)
                and (not call.wants("latestOnly") or told["id"] == latest[told["subject"]])
            ]
        )  # fmt: skip

    def _subjects_of_id(self, call: Call) -> list[str]:
        return call.page([told["subject"] for told in self._versions_told(call)])

    def _versions_of_id(self, call: Call) -> list[dict[str, Any]]:
        return call.page(self._versions_told(call))

    def _versions_told(self, call: Call) -> list[dict[str, Any]]:
        schema = self._by_id(call)
        name = self._names[schema.subject]
        return [{"subject": name, "version": schema.version}] if call.query.get("subject", name) == name else []

    def _no_guid(self, call: Call) -> Any:
        raise RegistryError(40403, f"Schema {call.parts[0][:64]} not found")

    def _list_subjects(self, call: Call) -> list[str]:
        prefix = call.query.get("subjectPrefix", "")
        return call.page(sorted(name for name in self._subjects if name.startswith(prefix)))

    def _list_versions(self, call: Call) -> list[int]:
        return call.page([schema.version for schema in self._versions_of(call.parts[0])])

    def _latest_with_metadata(self, call: Call) -> dict[str, Any]:
        latest = self._versions_of(call.parts[0])[-1]
        if "key" in call.query:  # no schema here has metadata
            raise RegistryError(40402, "No version has this metadata.")
        return self._told(latest)

    def _subject_config(self, call: Call) -> dict[str, str]:
        if not call.wants("defaultToGlobal"):
            message = f"Subject '{call.parts[0][:256]}' does not have subject-level compatibility configured"
            raise RegistryError(40408, message)
        return {"compatibilityLevel": COMPATIBILITY}

    def _subject_mode(self, call: Call) -> dict[str, str]:
        if not call.wants("defaultToGlobal"):
            message = f"Subject '{call.parts[0][:256]}' does not have subject-level mode configured"
            raise RegistryError(40409, message)
        return {"mode": "READONLY"}

    def _no_association(self, call: Call) -> Any:
        """Python's client asks this first and names the subject after the topic once it hears 404."""
        raise RegistryError(404, f"Nothing is associated with '{call.parts[1][:256]}'.")

    def _look_up(self, call: Call) -> dict[str, Any]:
        found = find_same(self._versions_of(call.parts[0]), parse_candidate(call.body))
        if found is None:
            raise RegistryError(40403, "Schema not found")
        return self._told(found)

    def _register(self, call: Call) -> dict[str, int]:
        versions = self._versions_of(call.parts[0]) if call.parts[0] in self._subjects else ()
        found = find_same(versions, parse_candidate(call.body))
        if found is None:
            raise RegistryError(42205, _READ_ONLY)
        return {"id": found.id}

    def _check_all(self, call: Call) -> dict[str, Any]:
        return _verdict(call, self._versions_of(call.parts[0]))

    def _check_one(self, call: Call) -> dict[str, Any]:
        return _verdict(call, (self._version(call),))


def _verdict(call: Call, versions: tuple[RegisteredSchema, ...]) -> dict[str, Any]:
    found = conflicts(versions, parse_candidate(call.body))
    told: dict[str, Any] = {"is_compatible": not found}
    if call.wants("verbose"):
        told["messages"] = found[:_MAX_MESSAGES]
    return told
