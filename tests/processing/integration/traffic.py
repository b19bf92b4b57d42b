"""A shop's traffic, written straight into a processor's topics as the gateway would, and what must become of it."""

import random
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from contracts import topics
from tests.processing.builders import Event, at, click, framed, headers, id_of, rejection, sale, topic_of
from tests.processing.log_rows import Row, logged, truly_enriched

_ACTIONS: Final = (
    *("page_view", "view", "view", "click", "click", "search", "add_to_cart", "add_to_cart", "remove_from_cart"),
    *("checkout_start", "scroll"),
)
_AGENTS: Final = (
    *(None, "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 Mobile Safari/604.1",
    *("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "curl/8.5.0", "okhttp/4.12.0"),
)
_PAGES: Final = (
    *(
        None,
        "/ünï",
        "https://shop.example/p",
        "https://shop.example/?utm_source=mail&utm_medium=email&utm_campaign=May",
    ),
)
_REFERRERS: Final = (None, None, "https://www.google.com/", "https://shop.example/", "https://t.co/x", "no URL")


class Traffic:
    """Writes to the topics and remembers what the processor must make of it."""

    def __init__(self, bootstrap: str, topic_prefix: str) -> None:
        self._bootstrap, self._prefix = bootstrap, topic_prefix
        self._producer = self._new_producer()
        self._rows: dict[tuple[str, str], Row] = {}
        """The first event sent of each topic and id: what must be applied."""
        self._sent: dict[tuple[str, str], Event] = {}
        self.records = self.duplicates = self.conflicts = self.quarantined = self.rejected = 0

    def send(self, events: Iterable[Event], *, imported: bool = False, late: bool = False) -> None:
        """Send valid events, keyed by user, so that copies of one keep their order."""
        for event in events:
            identity = topic_of(event), id_of(event)
            owner = self._sent.setdefault(identity, event)
            row = None
            if owner is not event:
                self.duplicates += 1
                self.conflicts += owner != event
            else:
                row = self._rows[identity] = logged(event, imported=imported, late=late)
            self._produce(identity[0], framed(event), event["user_id"].encode(), row, imported=imported)

    def poison(self, topic: topics.Topic, values: Iterable[bytes | None]) -> None:
        """Send records that are no events."""
        for value in values:
            self.quarantined += 1
            self._produce(topic.name, value, None)

    def reject(self, rejections: Iterable[Event]) -> None:
        """Send what the gateway writes of refused events."""
        for refused in rejections:
            self.rejected += 1
            self._produce(topics.REJECTED.name, framed(refused), None)

    def add_a_partition(self, topic: topics.Topic) -> None:
        """The topic has one more from now on, and what is sent from now on goes there, too.

        The same user's events may come to another partition than before: have all read that was sent, first.
        """
        self.flush()
        admin = AdminClient({"bootstrap.servers": self._bootstrap})
        name = self._prefix + topic.name
        count = len(admin.list_topics(name, timeout=10).topics[name].partitions) + 1
        for done in admin.create_partitions([NewPartitions(name, count)]).values():
            done.result(20)
        self._producer = self._new_producer()  # another would hear of it after minutes

    def _new_producer(self) -> Producer:
        return Producer({"bootstrap.servers": self._bootstrap, "linger.ms": 5, "enable.idempotence": True})

    def flush(self) -> None:
        """Wait until the broker has all."""
        assert self._producer.flush(30) == 0

    def rows(self) -> list[Row]:
        """What the log must hold, but for where each event lies in Kafka and the epoch that applied it."""
        self.flush()
        return truly_enriched(self._rows.values())

    @property
    def identities(self) -> list[tuple[str, str]]:
        """Topic and id of what must be applied, sorted."""
        return sorted(self._rows)

    @property
    def totals(self) -> dict[str, int]:
        """What the ledger's totals must be in the end."""
        return {
            "records": self.records,
            "applied": len(self._rows),
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "quarantined": self.quarantined,
            "rejected": self.rejected,
            "late": sum(row["late"] for row in self._rows.values()),
            "imported": sum(row["imported"] for row in self._rows.values()),
        }

    def _produce(
        self, topic: str, value: bytes | None, key: bytes | None, row: Row | None = None, *, imported: bool = False
    ) -> None:
        def delivered(error: object, message: Message) -> None:
            assert error is None, error
            if row is not None:
                row["log_time"] = at(message.timestamp()[1])

        self.records += 1
        self._producer.produce(
            self._prefix + topic, value, key=key, headers=[*headers(now_ms(), imported=imported)], on_delivery=delivered
        )
        self._producer.poll(0)


def visits(dice: random.Random, name: str, count: int, newest_ms: int, spread_ms: int) -> Iterator[Event]:
    """Events of a small shop, a tenth of them repeated and a few of those changed, up to `spread_ms` old."""
    for number in range(count):
        user = dice.randrange(20)
        product = dice.randrange(12)
        shared: Event = {
            "user_id": f"user-{user}",
            "session_id": f"session-{user}-{dice.randrange(2)}",
            "timestamp": newest_ms - dice.randrange(spread_ms),
        }
        event = (
            sale(
                f"{name}-t{number}",
                **shared,
                product_id=f"p{product}",
                category=f"c{product % 3}",
                amount=Decimal(dice.randrange(10**6)).scaleb(-2).quantize(Decimal("0.0001")),
                quantity=dice.randint(1, 4),
                kind="refund" if dice.random() < 0.1 else "purchase",
                order_id=dice.choice((None, f"{name}-o{user}")),
            )
            if dice.random() < 0.2
            else click(
                f"{name}-e{number}",
                **shared,
                product_id=f"p{product}" if dice.random() < 0.8 else None,
                category=f"c{product % 3}" if dice.random() < 0.8 else None,
                action=dice.choice(_ACTIONS),
                page_url=dice.choice(_PAGES),
                referrer=dice.choice(_REFERRERS),
                user_agent=dice.choice(_AGENTS),
                properties={"k": "v"} if dice.random() < 0.2 else {},
            )
        )
        yield event
        if dice.random() < 0.1:
            yield dict(event)
        if dice.random() < 0.02:
            yield event | {"product_id": "changed"}


def poison(traffic: Traffic) -> None:
    """Records that must be quarantined, one per kind of door."""
    traffic.poison(topics.CLICKSTREAM, [None, b"", b"\x00\x00", b"{}", framed(click())[:-2], framed(click("a\nb"))])
    traffic.poison(topics.CLICKSTREAM, [framed(click(page_url="\0")), framed(click())[:5] + b"\x80\x80\x80\x80\x07"])
    traffic.poison(topics.CLICKSTREAM, [framed(click(timestamp=2**62)), framed(click(timestamp=-1))])
    traffic.poison(topics.TRANSACTIONS, [framed(click()), framed(sale(quantity=0)), framed(sale(currency="EUR"))])
    traffic.poison(topics.REJECTED, [b"\x00", framed(rejection(detail="\0")), framed(rejection(received_at=2**62))])


def now_ms() -> int:
    """This machine's clock, epoch milliseconds."""
    return int(time.time() * 1000)
