"""What detectors flagged."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from contracts.alerts import anomalies
from serving.queries import Statement
from serving.queries.measures import within_span
from serving.queries.paging import Page, paged
from serving.windows import Span

_FLAG: Final = anomalies.c
_KEY: Final = (_FLAG.window_end, _FLAG.window_start, _FLAG.scope, _FLAG.metric, _FLAG.method, _FLAG.subject)


@dataclass(frozen=True)
class Flags:
    """Which flags, of windows that start in the span; None of a field means any."""

    span: Span
    scope: str | None = None
    subject: str | None = None
    metric: str | None = None
    standing: bool = True
    """Only those that stand."""

    def surest(self, first: int) -> Statement:
        """The newest windows first, in each the surest."""
        surest = (_FLAG.score / _FLAG.threshold).desc()
        ties = (_FLAG.scope.desc(), _FLAG.subject, _FLAG.metric, _FLAG.method, _FLAG.window_start)
        return self._statement.order_by(_FLAG.window_end.desc(), surest, *ties).limit(first)

    def page(self, page: Page) -> Statement:
        """The newest windows first; by what stays when a window is judged again, so that no row changes its place."""
        return paged(self._statement, _KEY, page)

    @property
    def _statement(self) -> Statement:
        named = ((_FLAG.scope, self.scope), (_FLAG.subject, self.subject), (_FLAG.metric, self.metric))
        wanted = [column == value for column, value in named if value is not None]
        wanted += [_FLAG.standing] if self.standing else []
        return select(anomalies).where(within_span(_FLAG.window_start, self.span), *wanted)
