"""Records that do not become events are kept as rows: quarantined ones with their bytes, rejected ones as the gateway
described them."""

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
