"""The way between two parts: slow, narrow, silent, cut, reset."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loadtest.drill.ground import Ground
from loadtest.drill.link import Link

_BETWEEN_RESETS_SECONDS: Final = 1.0


@dataclass(frozen=True)
class _Held:
    """Something done to a link, and undone after a while."""

    part: str
    seconds: float

    async def _hold(self, ground: Ground, do: Callable[[Link], None]) -> None:
        link = ground.link(self.part)
        try:
            do(link)
            await asyncio.sleep(self.seconds)
        finally:
            link.heal()


@dataclass(frozen=True)
class CutOff(_Held):
    """Every connection ends and none can be made, as if the part's machine were away."""

    async def strike(self, ground: Ground) -> None:
        await self._hold(ground, Link.cut)


@dataclass(frozen=True)
class Silent(_Held):
    """No byte comes through, and no connection ends: what a dead switch looks like."""

    async def strike(self, ground: Ground) -> None:
        await self._hold(ground, Link.silence)


@dataclass(frozen=True)
class Slow(_Held):
    """Every piece comes half a second later, or as much as is said."""

    delay_seconds: float = 0.5

    async def strike(self, ground: Ground) -> None:
        await self._hold(ground, lambda link: link.slow(delay_seconds=self.delay_seconds))


@dataclass(frozen=True)
class Narrow(_Held):
    """So many bytes a second in each connection and direction."""

    bytes_per_second: int = 20_000

    async def strike(self, ground: Ground) -> None:
        await self._hold(ground, lambda link: link.slow(bytes_per_second=self.bytes_per_second))


@dataclass(frozen=True)
class Reset(_Held):
    """Once a second every connection is reset in the middle of whatever is under way."""

    async def strike(self, ground: Ground) -> None:
        link = ground.link(self.part)
        for _ in range(max(1, int(self.seconds / _BETWEEN_RESETS_SECONDS))):
            link.reset()
            await asyncio.sleep(_BETWEEN_RESETS_SECONDS)
