"""Answers that replicas share, in a Redis or Valkey: what one has made, the others need not make again.

Nothing is ever taken back there. An answer lies under the state of the store that the snapshot it was read in shows,
and whoever looks one up names the state of a snapshot of their own: what is right no more is not asked for again.
"""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar

import structlog
from prometheus_client import Counter
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from contracts.settings import ShopSettings
from serving.settings import ServingSettings
from serving.snapshot import EpochRow

_log = structlog.get_logger(__name__)
_ROOT: Final = Path(__file__).resolve().parent.parent
_PATIENCE_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 2.0
"""For how long nothing is asked of a cache that did not answer."""
_KEPT_SECONDS: Final = 60
"""Housekeeping: an answer may be right for longer, and is most often right for a second."""
_LARGEST_BYTES: Final = 1024 * 1024
_KEY_BYTES: Final = 24

T = TypeVar("T")


class _Failed(Exception):  # noqa: N818 - it reads as what it is
    """The cache did not answer, or not with what was asked for."""


class SharedAnswers:
    """The cache. Whatever goes wrong with it, the answer is made as if it were not there."""

    def __init__(self, url: SecretStr, made_by: bytes, looked_up: Counter) -> None:
        """`made_by` is what answers depend on besides request and store.

        Raises:
            ValueError: the URL can not be understood; the message does not repeat it.
        """
        try:
            self._redis = Redis.from_url(
                url.get_secret_value(),
                protocol=2,  # all that ever spoke it understand it
                retry=Retry(NoBackoff(), 0),
                socket_timeout=_PATIENCE_SECONDS,
                socket_connect_timeout=_PATIENCE_SECONDS,
            )
            # Connects to nothing, and says which parameters of the URL it does not know.
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError):
            raise ValueError(
                "MILLRACE_SERVING_SHARED_CACHE_URL is not redis://[user:password@]host:port, rediss://… or unix://…"
            ) from None
        self._made_by = made_by
        self._found, self._absent = looked_up.labels(result="found"), looked_up.labels(result="absent")
        self._failed = looked_up.labels(result="failed")
        self._ask_again_at = 0.0
        self._failing: str | None = None
        """What it can not do at present, if anything."""
        self._storing: set[asyncio.Task[object]] = set()

    @property
    def answering(self) -> bool:
        """Whether it is worth asking."""
        return time.monotonic() >= self._ask_again_at

    async def get(self, request: bytes, state: EpochRow) -> bytes | None:
        """The answer to a request as of a state of the store, if it is there."""
        key = self._key(request, state)
        try:
            found = await self._asked("get", self._redis.get(_named(key)))
        except _Failed:
            return None
        # Each has its key before it, so that no mix-up of whatever part on the way gives one request another's answer.
        if not isinstance(found, bytes) or not found.startswith(key):
            self._absent.inc()
            return None
        self._found.inc()
        return found[_KEY_BYTES:]

    def put(self, request: bytes, state: EpochRow, body: bytes) -> None:
        """Let the others have the answer to a request as of a state of the store; nobody waits for that."""
        if len(body) > _LARGEST_BYTES or not self.answering:
            return
        task = asyncio.create_task(self._put(self._key(request, state), body))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*self._storing)
        await self._redis.aclose()

    def _key(self, request: bytes, state: EpochRow) -> bytes:
        of = f"{state.epoch} {state.committed_at.isoformat()} {state.token} ".encode()
        return blake2b(self._made_by + request + of, digest_size=_KEY_BYTES).digest()

    async def _put(self, key: bytes, body: bytes) -> None:
        with suppress(_Failed):
            await self._asked("set", self._redis.set(_named(key), key + body, ex=_KEPT_SECONDS))

    async def _asked(self, what: str, command: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                answer = await command
        except (RedisError, OSError, ValueError) as error:  # the last: what answers is no Redis
            self._failed.inc()
            self._ask_again_at = time.monotonic() + _PAUSE_SECONDS
            if self._failing is None:
                # The name alone: a server's own words may repeat what it was told, the password too.
                _log.warning("shared_cache_fails", command=what, error=type(error).__name__)
                self._failing = what
            raise _Failed from error
        if self._failing == what:  # one that is full can be read from all the same
            _log.info("shared_cache_answers_again")
            self._failing = None
        return answer


def made_by(settings: ServingSettings, shop: ShopSettings) -> bytes:
    """What answers depend on besides request and store: the code, the limits, the shop.

    Replicas that differ in it share nothing: of two versions side by side each tells its own.
    """
    digest = blake2b(digest_size=16)
    for package in ("serving", "contracts"):
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(path.read_bytes())
    limits = {name: value for name, value in settings if name.startswith("max_")}
    digest.update(f"{limits} {shop!r}".encode())
    return digest.digest()


def _named(key: bytes) -> str:
    return f"millrace:{key.hex()}"
