"""How many events a source may send: a token bucket per source, in the memory of each worker.

A bucket holds up to `burst` tokens and gains `rate` a second; an event costs one, refused events too, since they are
work and are kept. A request with more events than the bucket can ever hold is taken when the bucket is full and leaves
a debt, so that the long-run rate holds for any batch size and no request is refused for ever.

Every worker has its share of rate and burst. The kernel gives a connection to one worker, so a client with fewer
connections than there are workers gets less than the whole rate, never more.
"""

import math
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter

from contracts.keys import Key as WriteKey
from contracts.problems import Problem
from ingestion.errors import RequestRefusedError

Headers = tuple[tuple[str, str], ...]

_ROUNDING: Final = 1e-6
"""Tokens; without it, who waits exactly as long as told may be told to wait again."""


class _Bucket:
    __slots__ = ("tokens", "updated_at")

    def __init__(self, tokens: float, updated_at: float) -> None:
        self.tokens = tokens
        self.updated_at = updated_at


class RateLimiter:
    """The buckets of one worker; `share` is the worker's part of every rate, 0 to 1."""

    def __init__(self, share: float, refused: Counter, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._refused = refused
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def check(self, key: WriteKey) -> None:
        """Refuse early what `take` would refuse for any number of events, before its body costs anything."""
        if key.rate is not None:
            self._afford(key, key.rate, 1)

    def take(self, key: WriteKey, events: int) -> Headers:
        """Pay for the events of a request. Returns the headers that say what is left; none for a key without a limit.

        Raises RequestRefusedError (rate_limited) with `Retry-After`: nothing was paid then.
        """
        if key.rate is None:
            return ()
        bucket = self._afford(key, key.rate, events)
        bucket.tokens -= events
        rate, burst = self._limit(key, key.rate)
        return _headers(rate, burst, bucket.tokens, (burst - bucket.tokens) / rate)

    def _limit(self, key: WriteKey, rate: float) -> tuple[float, float]:
        burst = rate if key.burst is None else key.burst
        return rate * self._share, max(1.0, burst * self._share)

    def _afford(self, key: WriteKey, stated_rate: float, events: int) -> _Bucket:
        rate, burst = self._limit(key, stated_rate)
        now = self._clock()
        bucket = self._buckets.setdefault(key.source, _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.updated_at) * rate)
        bucket.updated_at = now
        lacking = min(float(events), burst) - bucket.tokens
        if lacking > _ROUNDING:
            seconds = lacking / rate
            self._refused.labels(key.source).inc()
            raise RequestRefusedError(
                Problem.RATE_LIMITED,
                f"{key.source} may send {stated_rate:g} events a second.",
                (("retry-after", str(math.ceil(seconds))), *_headers(rate, burst, bucket.tokens, seconds)),
            )
        return bucket


def _headers(rate: float, burst: float, tokens: float, seconds: float) -> Headers:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), for this worker's share."""
    return (
        ("ratelimit-policy", f'"source";q={math.floor(burst)};w={math.ceil(burst / rate)};qu="events"'),
        ("ratelimit", f'"source";r={max(0, math.floor(tokens))};t={math.ceil(seconds)}'),
    )
