"""The drills there are. A drill is data: what is broken, when, under which traffic, and what must come of it.

Numbers F1, F2, … are rows of the fault matrix in docs/reliability.md.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from loadtest.drill.faults import (
    AtFailpoint,
    ClockStep,
    CutOff,
    Fault,
    Freeze,
    FullDisk,
    Kill,
    LockHeld,
    MidCopy,
    Narrow,
    Poison,
    ReadOnly,
    Reset,
    Silent,
    Slow,
)
from loadtest.faults import FaultRates

USUAL: Final = FaultRates(duplicates=0.05, conflicts=0.01, late=0.03, out_of_order=0.05, invalid=0.03)
"""What clients do anyway while something is broken."""


@dataclass(frozen=True)
class Strike:
    """A fault, and how long after the one before has been recovered from."""

    fault: Fault
    after_seconds: float = 5.0


class Stack(Enum):
    """What the stack of a drill is made with; the value says what that needs."""

    PLAIN = ""
    SMALL_DISK = "root"
    """The home on a small file system of its own."""
    SMALL_DISKS = "root, for disks of their own"
    """Each folder that a part writes to on a small file system of its own."""
    OWN_CLOCK = "C compiler"
    """A wall clock that can be set."""


@dataclass(frozen=True)
class Drill:
    """One of them."""

    name: str
    what: str
    strikes: tuple[Strike, ...]
    rates: FaultRates = USUAL
    hot_share: float = 0.0
    """Share of the events that one user does in one session."""
    stack: Stack = Stack.PLAIN
    takes_minutes: bool = False
    """Of waiting: it is in the long set alone."""
    links: frozenset[str] = field(default_factory=frozenset)
    """Parts in front of which it needs a link."""


def _drill(name: str, what: str, *faults: Fault, **more: object) -> Drill:
    links = frozenset(fault.part for fault in faults if isinstance(fault, CutOff | Silent | Slow | Narrow | Reset))
    return Drill(name, what, tuple(Strike(fault) for fault in faults), links=links, **more)  # type: ignore[arg-type]


DISKS: Final = {
    "kafka": "the broker",
    "postgres-disk": "Postgres",
    "delta": "the Delta tables",
    "checkpoint": "Spark's checkpoint",
}
"""Folders of the home that a part writes to, and whose they are."""
_PLACES: Final = (
    "decoded", "ids_written", "merged:site_minutes@2", "entry_written",
    "committed", "appended", "append_noted", "published",
)  # fmt: skip

DRILLS: Final = (
    _drill("gateway-worker-killed", "kill -9 of a worker of the gateway, five times (F1)",
           *[Kill("gateway", worker=True)] * 5),
    _drill("gateway-killed", "kill -9 of the gateway (F1)", Kill("gateway")),
    _drill("gateway-frozen", "the gateway stands still for 10 s", Freeze("gateway", 10)),
    _drill("broker-killed", "kill -9 of the broker (F5)", Kill("kafka")),
    _drill("broker-frozen", "the broker stands still for 20 s: a pause, not a crash (F6)", Freeze("kafka", 20)),
    _drill("broker-away-1s", "nobody reaches the broker for 1 s (F3)", CutOff("kafka", 1)),
    _drill("broker-away-30s", "nobody reaches the broker for 30 s (F3)", CutOff("kafka", 30)),
    _drill("broker-away-5min", "nobody reaches the broker for 5 min (F3)", CutOff("kafka", 300), takes_minutes=True),
    _drill("processing-killed", "kill -9 of processing, three times (F12)", *[Kill("processing")] * 3),
    _drill("processing-frozen", "processing stands still for 15 s", Freeze("processing", 15)),
    *(_drill(f"processing-at-{place.partition(':')[0].partition('@')[0].replace('_', '-')}",
             f"kill -9 of processing at the failpoint {place} (F11)", AtFailpoint(place)) for place in _PLACES),
    _drill("postgres-killed", "kill -9 of Postgres (F16)", Kill("postgres")),
    _drill("postgres-frozen", "Postgres stands still for 15 s", Freeze("postgres", 15)),
    _drill("postgres-away-60s", "nobody reaches Postgres for 60 s (F16)", CutOff("postgres", 60)),
    _drill("postgres-mid-copy", "backends ended in the middle of a COPY, three times (F16)", *[MidCopy()] * 3),
    _drill("postgres-lock", "somebody holds a table of every epoch for 30 s (F17)", LockHeld("site_minutes", 30)),
    _drill("serving-killed", "kill -9 of serving, twice", *[Kill("serving")] * 2),
    _drill("serving-frozen", "serving stands still for 10 s", Freeze("serving", 10)),
    _drill("broker-slow", "half a second more in each direction to the broker for 30 s (F7)", Slow("kafka", 30)),
    _drill("broker-narrow", "20 KB/s to and from the broker for 30 s (F7)", Narrow("kafka", 30)),
    _drill("broker-silent", "no byte to or from the broker for 15 s, connections stay open (F7)", Silent("kafka", 15)),
    _drill("broker-reset", "connections to the broker are reset once a second for 10 s (F7)", Reset("kafka", 10)),
    _drill("postgres-slow", "half a second more in each direction to Postgres for 30 s (F7)", Slow("postgres", 30)),
    _drill("postgres-silent", "no byte to or from Postgres for 15 s (F7)", Silent("postgres", 15)),
    _drill("postgres-reset", "connections to Postgres are reset once a second for 10 s (F7)", Reset("postgres", 10)),
    _drill("client-reset", "connections of the clients are reset once a second for 10 s (F7)", Reset("gateway", 10)),
    _drill("client-cut", "the clients do not reach the gateway for 10 s (F7)", CutOff("gateway", 10)),
    _drill("disk-full", "the disk of the home is full for 10 s (F15)", FullDisk(10),
           stack=Stack.SMALL_DISK),
    *(_drill(f"disk-full-{folder}", f"the disk of {whose} is full for 10 s (F15)", FullDisk(10, folder),
             stack=Stack.SMALL_DISKS) for folder, whose in DISKS.items()),
    _drill("delta-read-only", "the disk of the Delta tables takes no writes for 10 s (F15)", ReadOnly("delta", 10),
           stack=Stack.SMALL_DISKS),
    _drill("clock-ahead", "the clock of the stack's machine is an hour ahead for 20 s (F25)", ClockStep(3600, 20),
           stack=Stack.OWN_CLOCK),
    _drill("clock-behind", "the clock of the stack's machine is an hour behind for 20 s (F25)", ClockStep(-3600, 20),
           stack=Stack.OWN_CLOCK),
    _drill("poison", "300 records past the gateway: random bytes, cut, of no schema (F21)", Poison(300)),
    _drill("far-future", "every third event is invalid, some ten years and some thousands ahead (F22)",
           Kill("processing"), rates=FaultRates(invalid=0.3)),
    _drill("skew", "90 % of the events are of one user in one session, processing is killed (F28)",
           Kill("processing"), hot_share=0.9),
    _drill("duplicates", "half of the events twice, up to 30 s apart, some a thousand times at once, over a kill of"
           " processing (F23)", Kill("processing"), rates=FaultRates(duplicates=0.5, conflicts=0.05, storms=0.001)),
    Drill("duplicates-far", "half of the events twice, up to 5.5 min apart, over a kill of processing (F23)",
          (Strike(Kill("processing"), after_seconds=310),), takes_minutes=True,
          rates=FaultRates(duplicates=0.5, conflicts=0.05, resent_after_ms=(1_000, 330_000))),
    _drill("backlog", "processing stands still for 60 s at full rate, then catches up (F27)", Freeze("processing", 60)),
)  # fmt: skip
BY_NAME: Final = {drill.name: drill for drill in DRILLS}

SETS: Final = {
    "all": tuple(drill.name for drill in DRILLS if drill.stack is Stack.PLAIN and not drill.takes_minutes),
    "long": tuple(drill.name for drill in DRILLS),
}
"""Named lists of drills, one after the other on one stack."""

SHORT: Final = Drill(
    "short",
    "the gateway killed, a COPY ended in the middle",
    (Strike(Kill("gateway"), 2.0), Strike(MidCopy(), 0.5)),
)
"""What CI runs, in one load."""
