"""A report as a mail, sent to the destinations of kind `email` in the watch's settings."""

from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, parseaddr

from processing.alerting.destinations.destination import Destination, NotDeliveredError
from processing.alerting.destinations.email import Email
from processing.errors import ProcessingError
from processing.reporting import wording
from processing.reporting.figures import Report
from processing.reporting.html import as_html
from processing.reporting.text import as_text


class MailError(ProcessingError):
    """The report was not taken everywhere; the message says where not, and why."""


def send(report: Report, destinations: Mapping[str, Destination], source: str) -> list[str]:
    """Send it to each destination that is one of e-mail; returns their names. Raises MailError."""
    mailboxes = {name: each for name, each in destinations.items() if isinstance(each, Email)}
    if not mailboxes:
        raise MailError("no destination of kind email is set: docs/alerts.md says how")
    failed = {}
    for name, mailbox in mailboxes.items():
        try:
            mailbox.deliver(message(report, mailbox, source))
        except NotDeliveredError as error:
            failed[name] = str(error)
    if failed:
        raise MailError("; ".join(f"{name}: {why}" for name, why in failed.items()))
    return list(mailboxes)


def message(report: Report, mailbox: Email, source: str) -> EmailMessage:
    """The mail: text, and the same as HTML. Its Message-ID is the same for the same figures."""
    domain = parseaddr(mailbox.sender)[1].rpartition("@")[2]
    mail = EmailMessage()
    mail["Subject"] = f"Report of {wording.title(report)}: {wording.money(report.totals.revenue)} {report.currency}"
    mail["From"] = mailbox.sender
    mail["To"] = ", ".join(mailbox.to)
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{source}-report-{report.day}-{report.epoch}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(as_text(report))
    mail.add_alternative(as_html(report), subtype="html")
    return mail
