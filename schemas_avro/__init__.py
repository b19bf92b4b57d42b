"""The events: one `.avsc` per subject and version, and the registry built from them.

Ids are append-only in `registry.lock.json` and checked against fingerprints whenever the registry is read, so the
registry can always be rebuilt from this folder and two schemas can never share an id.
"""

from schemas_avro.registry import RegisteredSchema, Registry, RegistryMismatchError, load_registry

__all__ = ["RegisteredSchema", "Registry", "RegistryMismatchError", "load_registry"]
