"""What a load sent and what it was told: a JSON line per request, from which every event can be made again.

The first line says of which pools (seed, run); the others of which stretch of a pool a request was made, with which
time, and what the answer was. A request that got no answer may or may not have been stored (`ok` null).
"""

import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import orjson

from loadtest.client_log import Verdict
from loadtest.facts import Fact
from loadtest.load.payloads import Pool, shop_pools


@dataclass(frozen=True)
class Supply:
    """Where the events come from."""

    seed: int
    run: str
    size: int = 10_000
    """Events of the shop in a pool; each lap over them has ids and sessions of its own."""

    @classmethod
    def fresh(cls, seed: int) -> Self:
        """A supply whose ids nobody has sent before."""
        return cls(seed, secrets.token_hex(4))

    def pools(self) -> dict[bool, Pool]:
        """By `Sent.segment`. The same supply, the same events."""
        whole, segment = shop_pools(self.seed, self.run, self.size)
        return {False: whole, True: segment}


@dataclass(frozen=True, slots=True)
class Sent:
    """One request."""

    segment: bool
    first: int
    """Number of its first event in the pool."""
    count: int
    at_ms: int
    """Time of all its events."""
    ok: bool | None
    """All of them acknowledged; none of them; or nobody knows."""


class SentLog:
    """Writes requests. What is not written yet when the process is killed is lost: a load is judged as a whole."""

    def __init__(self, path: Path, supply: Supply) -> None:
        self._file = path.open("wb")
        self._file.write(orjson.dumps(asdict(supply), option=orjson.OPT_APPEND_NEWLINE))

    def write(self, sent: Sent) -> None:
        """Append one."""
        self._file.write(orjson.dumps(asdict(sent), option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Write what waits."""
        self._file.close()


def read_sent(path: Path) -> Iterator[tuple[Verdict, Fact]]:
    """What every event of a log says, with its verdict. Raises ValueError for a line that is none."""
    with path.open("rb") as file:
        supply = Supply(**orjson.loads(file.readline()))
        pools = supply.pools()
        for number, line in enumerate(file, 2):
            try:
                sent = Sent(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError) as error:
                raise ValueError(f"{path}, line {number} is no request: {error!r}") from error
            verdict = {True: Verdict.ACCEPTED, False: Verdict.REJECTED, None: Verdict.UNKNOWN}[sent.ok]
            for at in range(sent.first, sent.first + sent.count):
                yield verdict, pools[sent.segment].fact(at, sent.at_ms, segment=sent.segment)
