"""The shape of settings: one frozen, typed object per part, read once at start.

Sources, strongest first: arguments, environment (`MILLRACE_<PART>_<NAME>`), the table `[<part>]` of
`$MILLRACE_HOME/millrace.toml`, defaults. A bad value stops the part with the name of the key in the message.
"""

import os
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


def home() -> Path:
    """Folder of everything a stack keeps on disk: `$MILLRACE_HOME`, else `.millrace` beside the code."""
    default = Path(__file__).resolve().parent.parent / ".millrace"
    return Path(os.environ.get("MILLRACE_HOME") or default).expanduser().absolute()


class _PartTable(TomlConfigSettingsSource):
    """The table of one part in the settings file."""

    def __init__(self, settings_cls: type[BaseSettings], part: str) -> None:
        self._part = part
        super().__init__(settings_cls, home() / "millrace.toml")

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        table = super()._read_file(file_path).get(self._part, {})
        if not isinstance(table, dict):
            raise ValueError(f"{file_path}: [{self._part}] must be a table")  # noqa: TRY004 - pydantic reports ValueError
        return table


class PartSettings(BaseSettings):
    """Base of every part's settings. Subclasses set `part` and declare documented fields."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    part: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "part" in cls.__dict__:
            cls.model_config["env_prefix"] = f"MILLRACE_{cls.part.upper()}_"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _PartTable(settings_cls, cls.part)


def setting_faults(error: ValidationError) -> list[tuple[str, str]]:
    """What is wrong with a part's settings: (name of the environment variable, fault), without the values."""
    part = error.title.removesuffix("Settings").upper()
    return [
        (f"MILLRACE_{part}_{'_'.join(map(str, fault['loc'])).upper()}", fault["msg"])
        for fault in error.errors(include_url=False, include_input=False)
    ]


class KafkaSettings(PartSettings):
    """Where the broker is. Shared by gateway, processing and stack."""

    part: ClassVar[str] = "kafka"

    bootstrap: str = "127.0.0.1:7073"
    """Comma-separated `host:port` list."""
    topic_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]{0,64}$")
    """Goes before every topic's name, so that several stacks can share one broker."""


class PostgresSettings(PartSettings):
    """Where the serving store is. Shared by processing and serving."""

    part: ClassVar[str] = "postgres"

    url: SecretStr = SecretStr("postgresql://millrace@127.0.0.1:7075/millrace")
    """libpq URL; carries the password where there is one, so it is never printed."""
    db_schema: str = Field(default="public", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    """Postgres schema holding the tables of `contracts.tables`; set per connection as `search_path`."""


class LogSettings(PartSettings):
    """Where the Delta event log is. Written by processing, read by serving and the batch side."""

    part: ClassVar[str] = "log"

    path: Path = Field(default_factory=lambda: home() / "delta")
    """Folder of the Delta tables."""


NO_KEY: Final = SecretStr("")


class GraphqlSettings(PartSettings):
    """Where answers are read, and with what key. Shared by the stack's commands and the load side."""

    part: ClassVar[str] = "graphql"

    url: str = Field(default="http://127.0.0.1:7071/graphql", pattern=r"^https?://")
    """The GraphQL endpoint."""
    read_key: SecretStr = NO_KEY
    """Key to read with where serving asks for one (`millrace keys create NAME --scope analytics`); empty sends none."""

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs besides its body."""
        return bearer(self.read_key)


def bearer(key: SecretStr) -> dict[str, str]:
    """The header that presents a key; none for an empty one."""
    secret = key.get_secret_value()
    return {"Authorization": f"Bearer {secret}"} if secret else {}


class ShopSettings(PartSettings):
    """Facts about the shop that every stage must agree on."""

    part: ClassVar[str] = "shop"

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    """ISO 4217 code of the one currency this stack counts in; money in another one is rejected, not added."""
    time_zone: str = "UTC"
    """IANA zone used when a query names none, and that of the reports' days."""
    future_tolerance_seconds: int = Field(default=300, ge=0)
    """An event further than this ahead of the clock is rejected: it would push the watermark past real traffic."""
    allowed_lateness_seconds: int = Field(default=300, ge=0)
    """How far the watermark trails the newest event; older events are labelled late and applied all the same."""
    session_gap_seconds: int = Field(default=1800, ge=1)
    """Inactivity that ends a session."""
    cart_minutes: int = Field(default=60, ge=1, le=10_080)
    """What was put into a cart and not bought within so many minutes is abandoned."""
