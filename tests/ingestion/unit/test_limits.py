"""Keys, bodies and decompression: what is not taken costs no more than its limit."""

import asyncio
import gzip
import hashlib
import json
import os
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from ingestion.body import Budget, read_body
from ingestion.decompress import Limits, decompress
from ingestion.errors import RequestRefusedError, StartRefusedError
from ingestion.keys import KeyRing
from ingestion.patience import Patience

pytestmark = pytest.mark.unit

LIMITS = Limits(8 * 1024 * 1024, 200)
TEXT = b"a line of text\n" * 1000


class Source:
    """A body that arrives in pieces."""

    def __init__(self, *pieces: bytes, pause_seconds: float = 0) -> None:
        self._pieces = pieces
        self._pause_seconds = pause_seconds

    async def __call__(self) -> bytes:
        await asyncio.sleep(self._pause_seconds)
        return b"".join(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(self._pause_seconds)
            yield piece


@pytest.mark.parametrize("length", ["10", None])
@pytest.mark.parametrize("limit", [10, 9])
async def test_a_body_is_read_up_to_its_limit(length: str | None, limit: int) -> None:
    budget = Budget(100)
    reading = read_body(Source(b"01234", b"56789"), length, limit, Patience(1), budget)
    if limit == 10:
        assert await reading == b"0123456789"
        assert budget.reserved == 10
    else:
        with pytest.raises(RequestRefusedError, match="body_too_large"):
            await reading
        assert budget.reserved == 0


@pytest.mark.parametrize("length", ["10", None])
async def test_bodies_together_stay_within_the_budget(length: str | None) -> None:
    budget = Budget(19)
    budget.reserve(10)
    with pytest.raises(RequestRefusedError, match="overloaded"):
        await read_body(Source(b"01234", b"56789"), length, 100, Patience(1), budget)
    assert budget.reserved == 10


@pytest.mark.parametrize("length", ["10", None])
async def test_a_body_that_takes_too_long_is_given_up_and_its_memory_given_back(length: str | None) -> None:
    budget = Budget(100)
    with pytest.raises(RequestRefusedError, match="body_timeout"):
        await read_body(Source(b"01234", b"56789", pause_seconds=0.2), length, 100, Patience(0.05), budget)
    assert budget.reserved == 0


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:])),
        ("zstd", zstandard.compress(TEXT)),
        ("zstd", zstandard.compress(TEXT[:500]) + zstandard.compress(TEXT[500:])),
    ],
    ids=["gzip", "x-gzip", "two members", "zstd", "two frames"],
)
def test_compressed_bodies_are_read(encoding: str, body: bytes) -> None:
    assert decompress(encoding, body, LIMITS) == TEXT


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_damaged_bodies_are_refused(compress: object) -> None:
    assert callable(compress)
    encoding = "gzip" if compress is gzip.compress else "zstd"
    good: bytes = compress(TEXT)
    for bad in (good[:-3], good + b"garbage", b"garbage", b"", good[:20]):
        with pytest.raises(RequestRefusedError, match="bad_compression"):
            decompress(encoding, bad, LIMITS)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_bomb_costs_its_limit_and_not_its_size(compress: object) -> None:
    assert callable(compress)
    encoding = "gzip" if compress is gzip.compress else "zstd"
    bomb: bytes = compress(bytes(256 * 1024 * 1024))
    tracemalloc.start()
    with pytest.raises(RequestRefusedError, match="body_too_large"):
        decompress(encoding, bomb, LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 1024 * 1024


def test_a_body_of_thousands_of_members_is_refused() -> None:
    with pytest.raises(RequestRefusedError, match="bad_compression"):
        decompress("gzip", gzip.compress(b"") * 10_000, LIMITS)


def test_a_high_ratio_is_refused_above_a_mebibyte_only() -> None:
    small, large = gzip.compress(bytes(1024 * 1024)), gzip.compress(bytes(2 * 1024 * 1024))
    assert len(decompress("gzip", small, Limits(8 << 20, 200))) == 1024 * 1024
    with pytest.raises(RequestRefusedError, match="body_too_large"):
        decompress("gzip", large, Limits(8 << 20, 200))


def keys(path: Path, *lines: object) -> KeyRing:
    path.write_text(json.dumps(lines))
    return KeyRing(path)


def line(key: str, *scopes: str) -> dict[str, object]:
    return {"source": "shop", "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": scopes}


def test_a_key_is_found_by_its_hash_and_asked_for_its_scope(tmp_path: Path) -> None:
    ring = keys(tmp_path / "keys.json", line("other", "write"), line("mr_x", "write"))
    assert ring.authorize("Bearer mr_x", "write").source == "shop"
    with pytest.raises(RequestRefusedError, match="forbidden"):
        ring.authorize("Bearer mr_x", "import")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer mr_y", "Basic", "Basic //8=", "Digest mr_x", "mr_x"])
def test_anything_else_is_unauthenticated(header: str | None, tmp_path: Path) -> None:
    with pytest.raises(RequestRefusedError, match="unauthenticated"):
        keys(tmp_path / "keys.json", line("mr_x", "write")).authorize(header, "write")


def test_the_hash_of_the_empty_key_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(RequestRefusedError, match="unauthenticated"):
        keys(tmp_path / "keys.json", line("", "write")).authorize("Bearer ", "write")


@pytest.mark.parametrize("content", [None, "{", "{}", '[{"source":"x"}]', '[{"source":"x","sha256":"zz","scopes":[]}]'])
def test_a_keys_file_that_cannot_be_used_is_named(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StartRefusedError, match=r"MILLRACE_GATEWAY_KEYS_FILE: .*keys\.json"):
        KeyRing(path)


@pytest.mark.parametrize(("seconds", "valid"), [(-1, False), (60, True)])
def test_a_key_is_good_until_it_expires(seconds: float, valid: bool, tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    ring = keys(tmp_path / "keys.json", {**line("mr_x", "write"), "expires_at": ends.isoformat()})
    if valid:
        assert ring.authorize("Bearer mr_x", "write").expires_at == ends
    else:
        with pytest.raises(RequestRefusedError, match="unauthenticated"):
            ring.authorize("Bearer mr_x", "write")


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_read_again(tmp_path: Path) -> None:
    path, other = tmp_path / "keys.json", tmp_path / "other.json"
    ring = keys(path, line("mr_x", "write"))
    other.write_text(json.dumps([line("mr_y", "write")]))
    for file in (path, other):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    ring.reload()
    other.replace(path)
    assert ring.reload()
    assert ring.admit("mr_y", "write").source == "shop"
    with pytest.raises(RequestRefusedError, match="unauthenticated"):
        ring.admit("mr_x", "write")


@pytest.mark.parametrize(
    "change",
    [{"rate": 0}, {"rate": -1}, {"burst": 0}, {"expires_at": "2026-01-01T00:00:00"}, {"scopes": ["everything"]}],
)
def test_an_entry_that_means_nothing_is_refused_with_its_file(change: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(StartRefusedError, match=r"keys\.json"):
        keys(tmp_path / "keys.json", {**line("mr_x", "write"), **change})
