"""Settings of the gateway: `MILLRACE_GATEWAY_<NAME>` or the table `[gateway]` of the settings file."""

import os
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, IPvAnyNetwork

from contracts.settings import PartSettings, home

KIB = 1024
MIB = 1024 * 1024


class GatewaySettings(PartSettings):
    """Everything about the gateway that can be set, with its unit."""

    part: ClassVar[str] = "gateway"

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=7070, ge=1, le=65535)
    """Port to listen on."""
    workers: int = Field(default_factory=lambda: min(64, os.cpu_count() or 1), ge=1, le=64)
    """Worker processes, by default as many as cores; each has its own event loop and its own producer."""
    keys_file: Path = Field(default_factory=lambda: home() / "keys.json")
    """Write keys, hashed; read at start and again whenever the file changes."""

    max_head_bytes: int = Field(default=64 * KIB, ge=8 * KIB, le=400 * KIB)
    """Largest head of a request: its first line and headers."""
    max_body_bytes: int = Field(default=5 * MIB, ge=KIB)
    """Largest body as sent."""
    max_decompressed_bytes: int = Field(default=20 * MIB, ge=KIB)
    """Largest body after decompression."""
    max_compression_ratio: int = Field(default=200, ge=2)
    """A body that grows more than this many times is a bomb; bodies below 1 MiB decompressed are not checked."""
    max_events: int = Field(default=10_000, ge=1)
    """Most events in one request."""
    max_event_bytes: int = Field(default=256 * KIB, ge=KIB, le=MIB)
    """Largest single event; the topics take records of up to 2 MiB."""
    max_rejected_bytes: int = Field(default=64 * KIB, ge=0, le=MIB)
    """How much of a rejected event is kept."""
    max_buffered_bytes: int = Field(default=256 * MIB, ge=MIB)
    """Memory for all bodies under way; beyond it the answer is 503."""
    max_connections: int = Field(default=8192, ge=16)
    """Most connections a worker holds open, fewer where the system allows fewer files; more wait until some close."""
    read_timeout_seconds: float = Field(default=10, gt=0)
    """How long a client may take to send a request's head, and then its body; idle connections are closed after it."""
    max_age_days: float = Field(default=7, gt=0)
    """Older events are refused unless they are sent with `?import=true`."""

    clock_tolerance_seconds: float = Field(default=5, ge=0)
    """How far a sender's clock may be off before its times are corrected; for protocols that say when they sent."""

    idempotency_hours: float = Field(default=24, gt=0)
    """How long the answer to a request with an `Idempotency-Key` is kept, at most; a worker keeps up to 16 MiB."""

    public_url: str = Field(default="", pattern=r"^(https?://[^/?#]+/?)?$")
    """Address by which browsers reach the gateway, for the settings of Segment's SDK; default: as the page asked."""
    allowed_origins: tuple[str, ...] = ("*",)
    """Origins whose pages may send from the browser (`https://shop.example`); `*` is any."""
    client_ip: Literal["truncated", "hashed", "off"] = "truncated"
    """What is kept of the sender's IP address: its network (/24, /48), a keyed hash, or nothing."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks of the proxies in front, whose `X-Forwarded-For` is believed."""
    salt_file: Path = Field(default_factory=lambda: home() / "salt")
    """Secret behind the hashes of IP addresses; made at the first start. Several hosts need the same."""

    delivery_timeout_ms: int = Field(default=10_000, ge=1000)
    """How long the broker may take to acknowledge before the answer is 503. Clients should wait longer than this."""
    linger_ms: float = Field(default=3, ge=0)
    """How long the producer waits to fill a batch. Less answers a lonely request sooner, and costs the broker more."""
    queue_messages: int = Field(default=200_000, ge=1000)
    """Most records waiting for the broker; beyond it the answer is 503."""
    queue_kib: int = Field(default=128 * KIB, ge=1024)
    """Most KiB of records waiting for the broker."""
    broker_check_seconds: float = Field(default=1, gt=0)
    """How often the broker is asked for its topics; decides readiness."""
    retry_after_seconds: int = Field(default=2, ge=1)
    """The `Retry-After` of 503 answers."""

    drain_seconds: float = Field(default=1, ge=0)
    """On SIGTERM: how long to go on serving with readiness already 503, so that balancers look away first."""
    shutdown_seconds: float = Field(default=15, gt=0)
    """On SIGTERM: how long to wait for requests under way and for the broker's acknowledgements."""
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """Least level to log."""

    @property
    def origins(self) -> frozenset[str] | None:
        """The allowed origins; None for any."""
        return None if "*" in self.allowed_origins else frozenset(self.allowed_origins)
