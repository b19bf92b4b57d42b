"""Records that do not become events are kept as rows: quarantined ones with their bytes, rejected ones as the gateway
described them."""

import json

import pyarrow as pa

from processing.store import Transaction


def keep_quarantined(transaction: Transaction, quarantined: pa.Table, epoch: int) -> None:
    """Write undecodable or invalid records to the table `quarantine`."""
    rows = quarantined.select(["topic", "partition", "offset", "log_time", "quarantine", "raw"])
    _insert(transaction, "quarantine", rows.rename_columns({"quarantine": "reason"}), epoch)


def keep_rejected(transaction: Transaction, rejected: pa.Table, epoch: int) -> None:
    """Write what the gateway refused to the table `rejected_events`."""
    _insert(transaction, "rejected_events", rejected, epoch)


def _insert(transaction: Transaction, target: str, rows: pa.Table, epoch: int) -> None:
    if rows.num_rows == 0:
        return
    staged = f"epoch_{target}"
    transaction.load(staged, rows)
    columns = ", ".join(f'"{name}"' for name in rows.column_names)
    transaction.execute(f"INSERT INTO {target} ({columns}, epoch) SELECT {columns}, $1 FROM {staged}", (epoch,))


def spellings(text: str) -> list[bytes]:
    """How a text stands in the bytes of a payload: in Avro after its length, in JSON between quotation marks."""
    json_texts = {json.dumps(text, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)}
    return [_avro_text(text.encode()), *sorted(json_texts)]


def _avro_text(encoded: bytes) -> bytes:
    """The length is Avro's `long`: zigzag, seven bits a byte, the lowest first."""
    rest, length = len(encoded) << 1, bytearray()
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*length, rest]) + encoded
