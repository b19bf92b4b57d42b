"""How a text stands in the bytes of a payload, to find it in one that nobody could decode."""

import json


def spellings(text: str) -> list[bytes]:
    """In Avro after its length, in JSON between quotation marks, with and without escapes."""
    json_texts = {json.dumps(text, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)}
    return [_avro_text(text.encode()), *sorted(json_texts)]


def _avro_text(encoded: bytes) -> bytes:
    """The length is Avro's `long`: zigzag, seven bits a byte, the lowest first."""
    rest, length = len(encoded) << 1, bytearray()
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*length, rest]) + encoded
