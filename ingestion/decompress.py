"""Decompression that stops at a limit instead of finding out afterwards: a bomb costs its limit, never its size."""

import zlib
from dataclasses import dataclass
from typing import Final

import zstandard

from contracts.problems import Problem
from ingestion.decode_avro import MalformedAvroError
from ingestion.errors import RequestRefusedError

_ALWAYS_ALLOWED: Final = 1024 * 1024
_GZIP: Final = 31
_RAW_DEFLATE: Final = -15
_MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024  # what RFC 8878, section 3.1.1.1.2, asks decoders to support

_ZSTD_CHUNK: Final = 256
"""Its objects take no output limit; 4 bytes can become 128 KiB, so this many become 8 MiB at most before we look."""
_MAX_PARTS: Final = 64
"""Gzip members or zstd frames: each one costs a copy of the rest."""


@dataclass(frozen=True)
class Limits:
    """How much may come out."""

    max_bytes: int
    max_ratio: int
    """Output per input byte; not looked at below 1 MiB of output."""

    def allowed(self, compressed: int) -> int:
        """Most bytes that `compressed` bytes may become."""
        return min(self.max_bytes, max(_ALWAYS_ALLOWED, compressed * self.max_ratio))


def decompress(encoding: str, body: bytes, limits: Limits) -> bytes:
    """The body behind a `Content-Encoding`: gzip (any number of members) or zstd. Raises RequestRefusedError."""
    if encoding not in ("gzip", "x-gzip", "zstd"):
        raise RequestRefusedError(Problem.UNSUPPORTED_ENCODING, "gzip and zstd are supported, one at a time.")
    try:
        return _zstd(body, limits) if encoding == "zstd" else _gzip(body, limits)
    except (zlib.error, zstandard.ZstdError) as error:
        raise RequestRefusedError(Problem.BAD_COMPRESSION, f"Not {encoding}: {error}.") from error


def inflate_block(codec: str, data: bytes, limits: Limits) -> bytes:
    """The data of one block of an object container file. Raises MalformedAvroError or RequestRefusedError."""
    if codec == "null":
        if len(data) > limits.max_bytes:
            raise _too_large(limits.max_bytes)
        return data
    try:
        if codec == "deflate":
            out, _ = _inflate(data, _RAW_DEFLATE, limits.allowed(len(data)))
            return out
        if codec == "zstandard":
            return _zstd(data, limits)
    except (zlib.error, zstandard.ZstdError, RequestRefusedError) as error:
        if isinstance(error, RequestRefusedError) and error.problem is not Problem.BAD_COMPRESSION:
            raise
        raise MalformedAvroError(0, f"a block that is not {codec}") from error
    raise MalformedAvroError(0, f"the codec {codec[:32]!r}, where null, deflate and zstandard are taken")


def _gzip(body: bytes, limits: Limits) -> bytes:
    parts: list[bytes] = []
    room = limits.allowed(len(body))
    for _ in range(_MAX_PARTS):
        out, body = _inflate(body, _GZIP, room)
        parts.append(out)
        room -= len(out)
        if not body:
            return b"".join(parts)
    raise _too_many_parts()


def _inflate(data: bytes, window: int, room: int) -> tuple[bytes, bytes]:
    """One stream, and the bytes after it."""
    stream = zlib.decompressobj(window)
    out = stream.decompress(data, room + 1)
    if len(out) > room:
        raise _too_large(room)
    if not stream.eof:
        raise _ends_early()
    return out, stream.unused_data


def _zstd(body: bytes, limits: Limits) -> bytes:
    parts: list[bytes] = []
    room = limits.allowed(len(body))
    for _ in range(_MAX_PARTS):
        stream = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj()
        start = 0
        while start < len(body) and not stream.eof:
            out = stream.decompress(body[start : start + _ZSTD_CHUNK])
            start += _ZSTD_CHUNK
            room -= len(out)
            if room < 0:
                raise _too_large(limits.allowed(len(body)))
            parts.append(out)
        if not stream.eof:
            raise _ends_early()
        body = stream.unused_data + body[start:]
        if not body:
            return b"".join(parts)
    raise _too_many_parts()


def _ends_early() -> RequestRefusedError:
    return RequestRefusedError(Problem.BAD_COMPRESSION, "The compressed data ends early.")


def _too_many_parts() -> RequestRefusedError:
    return RequestRefusedError(Problem.BAD_COMPRESSION, f"More than {_MAX_PARTS} members, or garbage after the last.")


def _too_large(room: int) -> RequestRefusedError:
    return RequestRefusedError(Problem.BODY_TOO_LARGE, f"It becomes more than {room} bytes when decompressed.")
