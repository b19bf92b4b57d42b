"""Event streams: the answers to an operation over time, as bytes, whatever carries them.

A subscription is its query, answered now and again with every epoch; one of alerts, with every change of them. All who
ask the same get the same bytes, read once an epoch. A reader that is slow misses epochs and never has a queue. One that
comes back says which epoch it has seen.
"""

from collections.abc import AsyncGenerator
from typing import Final

from graphql import GraphQLError, OperationType

from serving.access import Client, Denied, Identify
from serving.answers import Answers
from serving.documents import Operation, Unusable
from serving.execution import Answer, Executor, Outcome, encoded
from serving.feed import EpochFeed
from serving.request import GraphQLRequest
from serving.turns import LineFull, Places

SEEN: Final = "lastEpoch"
"""Member of a request's `extensions`: the newest epoch that its client has seen."""


class Streams:
    """Requests to the streams of their answers."""

    def __init__(self, executor: Executor, answers: Answers, feed: EpochFeed, per_client: int) -> None:
        self._executor, self._answers, self._feed = executor, answers, feed
        self.places = Places(per_client)

    async def answers(self, request: GraphQLRequest, identify: Identify) -> AsyncGenerator[Answer]:
        """Each answer when it is there: one of a query or of what can not be run, any number of a subscription.

        Of a subscription, what fails because the store is away is passed over: the next epoch tells. Its client is
        asked for before each answer; a scope that its key has no more is the last one.

        Raises:
            Denied: the client's key is good no more.
        """
        operation = self._executor.operation(request)
        client = identify()
        denied = self._denied(request, operation, client)
        if denied is not None:
            yield denied
            return
        if isinstance(operation, Unusable) or operation.kind is OperationType.MUTATION:
            yield await self._run(request, operation, client)
        elif operation.kind is OperationType.QUERY:
            yield await self._shared(request, operation, client)
        else:
            seen = request.extensions.get(SEEN)
            async for moment in self._feed.alerts() if operation.of_alerts else self._feed.epochs():
                if moment == seen and not operation.of_alerts:
                    continue
                answer = await self._shared(request, operation, client)
                if answer.retry:
                    continue
                answer = self._denied(request, operation, identify()) or answer
                yield answer
                if answer.outcome is not Outcome.DATA:
                    return

    def _denied(self, request: GraphQLRequest, operation: Operation | Unusable, client: Client) -> Answer | None:
        if isinstance(operation, Operation):
            try:
                self._executor.check(request, operation, client)
            except Denied as denied:
                return _refusal(str(denied), "FORBIDDEN")
        return None

    async def _shared(self, request: GraphQLRequest, operation: Operation, client: Client) -> Answer:
        async def run() -> Answer:
            return await self._run(request, operation, client)

        return (await self._answers.answer(request.key, run)).answer

    async def _run(self, request: GraphQLRequest, operation: Operation | Unusable, client: Client) -> Answer:
        try:
            return await self._executor.run(request, operation, client.name)
        except LineFull:
            return _refusal("Too many of your requests wait already.", "TOO_MANY_REQUESTS", retry=True)


def _refusal(message: str, code: str, *, retry: bool = False) -> Answer:
    return Answer(Outcome.INVALID, encoded(None, [GraphQLError(message, extensions={"code": code})]), retry=retry)
