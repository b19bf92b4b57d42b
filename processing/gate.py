"""The gate before the projections: whoever changes them passes through it first, so that one can hold all others back.

An epoch passes before it reads or writes a row. A rebuild shuts the gate for the moment in which it puts its tables in
the place of the live ones. Readers do not pass here and are never held back by it.
"""

from processing.store import Transaction


def enter(transaction: Transaction) -> None:
    """Pass the gate, and keep it from being shut until the transaction ends. Waits while it is shut.

    It must be the transaction's first statement: with a lock on a projection in hand, two could wait for each other.
    """
    transaction.execute("LOCK TABLE books IN ROW EXCLUSIVE MODE")


def shut(transaction: Transaction, patience_seconds: float) -> None:
    """Wait until those who passed are done, and let nobody pass until the transaction ends.

    Raises adbc_driver_manager.OperationalError or ProgrammingError when they are not done in so many seconds.
    """
    transaction.execute("SELECT set_config('lock_timeout', $1, true)", (f"{round(patience_seconds * 1000)}ms",))
    transaction.execute("LOCK TABLE books IN EXCLUSIVE MODE")
