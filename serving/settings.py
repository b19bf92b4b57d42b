"""Settings of the serving part: `MILLRACE_SERVING_<NAME>`, or the table `[serving]` of the settings file."""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, SecretStr

from contracts.settings import PartSettings

Statuses = Literal["audited", "draft-2026"]
NO_CACHE: Final = SecretStr("")


class ServingSettings(PartSettings):
    """Where serving listens and how much one client may ask for."""

    part: ClassVar[str] = "serving"

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=7071, ge=0, le=65535)
    """Port of GraphQL and the page."""
    statuses: Statuses = "audited"
    """HTTP statuses: `audited` passes the audits of graphql-http, `draft-2026` has the 422 and 294 of that draft."""
    max_connections: int = Field(default=4096, ge=1)
    """Most connections at once, WebSockets among them."""
    allowed_origins: tuple[str, ...] = ()
    """Origins, besides its own, whose pages may open a WebSocket (`https://shop.example`)."""

    keys_file: Annotated[Path | None, BeforeValidator(lambda told: told or None)] = None
    """Keys that clients must have, a file that `millrace keys` writes; without it whoever reaches the port may read."""
    documents_file: Path | None = None
    """JSON object of SHA-256 to document: only these are run. Without it any document is."""
    introspection: bool = True
    """Whether the schema can be asked for."""
    graphiql: bool = False
    """Whether `/graphiql` has an editor for queries; it shows what the schema is where `introspection` lets it."""

    pool_size: int = Field(default=4, ge=1, le=64)
    """Connections to Postgres for requests; one more listens for epochs. Two a core are enough."""
    pool_timeout_seconds: float = Field(default=2.0, gt=0)
    """How long a request waits for a free connection before it is told to come back."""
    connect_timeout_seconds: float = Field(default=3.0, gt=0)
    """How long opening a connection may take."""
    statement_timeout_seconds: float = Field(default=10.0, gt=0)
    """Longest time one SQL statement may run; Postgres cancels it then."""
    request_seconds: float = Field(default=30.0, gt=0)
    """Longest time one operation may take, waiting for its turn not counted."""
    log_readers: int = Field(default=2, ge=1)
    """Operations that may read the event log, or wait to, at once; with fewer than `pool_size`, others get on."""
    running_per_client: int = Field(default=3, ge=1)
    """Operations of one client (key, else address) that run at once; with fewer than `pool_size`, others get on."""
    waiting_per_client: int = Field(default=256, ge=0)
    """Operations of one client that may wait for their turn; more are told to come back."""
    feed_check_seconds: float = Field(default=5.0, gt=0)
    """How often the listening connection is proved alive; also finds an epoch whose notice was lost."""

    cache_bytes: int = Field(default=64 * 1024 * 1024, ge=0)
    """Memory for answers of the newest epoch; 0 keeps none."""

    shared_cache_url: SecretStr = NO_CACHE
    """Redis or Valkey in which replicas share answers: `redis://`, `rediss://` or `unix://`; empty shares nothing."""

    max_points: int = Field(default=3000, ge=1)
    """Most windows on the time axis of one answer."""
    max_rows: int = Field(default=10_000, ge=1)
    """Most rows in one answer."""
    max_sketch_minutes: int = Field(default=45_000, ge=1)
    """Longest range, in minutes, over which unique customers are counted: one sketch a minute is read."""
    max_path_sessions: int = Field(default=50_000, ge=1)
    """Most sessions whose paths one answer reads (journeys, funnels of given steps): some seconds of Postgres."""
    max_folded_rows: int = Field(default=100_000, ge=1)
    """Most sessions, users or additions to carts that are folded from the event log for an answer as of an epoch."""
    max_cost: int = Field(default=50_000, ge=1)
    """Most rows that all roots of one operation are expected to read out together."""
    max_page_size: int = Field(default=200, ge=1)
    """Largest `first` or `last` of a list."""

    max_depth: int = Field(default=12, ge=1)
    """Deepest nesting of one operation."""
    max_aliases: int = Field(default=30, ge=0)
    """Most aliases in one operation, fragments expanded."""
    max_fields: int = Field(default=500, ge=1)
    """Most fields in one operation, fragments expanded."""
    max_repeats: int = Field(default=100, ge=0)
    """Most fields of one operation that are asked for again in the same place: validating compares each with each."""
    max_definitions: int = Field(default=50, ge=1)
    """Most operations and fragments in one document: fragments are compared with each other, too."""
    max_tokens: int = Field(default=2000, ge=1)
    """Most tokens in one document, and most comments; checked while it is parsed."""
    max_body_bytes: int = Field(default=256 * 1024, ge=1024)
    """Largest request body and WebSocket message."""
    max_subscriptions: int = Field(default=20, ge=1)
    """Most operations under way on one WebSocket."""
    streams_per_client: int = Field(default=1024, ge=1)
    """Most WebSockets and event streams of one client (key, else address) at once: a quarter of `max_connections`."""
    connection_init_seconds: float = Field(default=10.0, gt=0)
    """How long a WebSocket may be open before its client says `connection_init`."""
    sign_of_life_seconds: float = Field(default=15.0, gt=0)
    """How often an event stream without news says that it is still there, and a WebSocket's client is asked to."""
    slow_reader_seconds: float = Field(default=10.0, gt=0)
    """How long a message to a subscriber may wait to be read before the connection is closed."""
