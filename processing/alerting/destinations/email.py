"""E-mail by SMTP. The Message-ID is the same for every attempt, and all mails of an alert refer to its first one."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import Literal, Self

import structlog
from pydantic import Field, SecretStr, model_validator

from processing.alerting.destinations.destination import NotDeliveredError, Notice, RefusedError, Sieve

log = structlog.get_logger()

_TIMEOUT_SECONDS = 10.0


class Email(Sieve):
    """Settings, and what is sent by them."""

    kind: Literal["email"]
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` only for a relay on the same machine: user and password are not sent over it."""
    user: str | None = None
    password: SecretStr | None = None
    sender: str
    to: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        for address in (self.sender, *self.to):
            if "@" not in parseaddr(address)[1] or any(sign in address for sign in "\r\n"):
                raise ValueError("sender and to are e-mail addresses")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        if self.user is not None and self.security == "none":
            raise ValueError("user and password are not sent without TLS")
        return self

    @property
    def knows_acknowledgement(self) -> bool:
        """See `Destination`."""
        return False

    def send(self, notice: Notice) -> None:
        """See `Destination`."""
        self.deliver(message(notice, self.sender, self.to))

    def deliver(self, mail: EmailMessage) -> None:
        """Send any mail; see `Destination.send`."""
        try:
            with self._connected() as server:
                if self.user is not None and self.password is not None:
                    server.login(self.user, self.password.get_secret_value())
                refused = server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            raise _judged(min(codes), f"{self.host} refused every recipient ({min(codes)})") from None
        except smtplib.SMTPResponseException as error:
            raise _judged(error.smtp_code, f"{self.host} answered {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotDeliveredError(f"{self.host}: {type(error).__name__}") from None
        if refused:  # by some and taken by others, who would get it twice if it were sent again
            answers = sorted({code for code, _ in refused.values()})
            log.warning("recipients_refused", host=self.host, recipients=len(refused), of=len(self.to), codes=answers)

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(
                self.host, self.port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
        server = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_SECONDS)
        if self.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server


def message(notice: Notice, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The mail."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    mail = EmailMessage()
    mail["Subject"] = " ".join(notice.headline.splitlines())
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{notice.message_id}@{domain}>"
    mail["References"] = f"<{notice.incident_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    ended = f", resolved {notice.resolved_at}" if notice.resolved_at else ""
    mail.set_content(
        "\n".join(
            [
                notice.headline,
                "",
                *notice.lines,
                "",
                f"Alert {notice.alert_id} of {notice.source}",
                f"Since {notice.opened_at}{ended}",
                "",
            ]
        )
    )
    return mail


def _judged(code: int, text: str) -> NotDeliveredError:
    """4xx may pass (RFC 5321, 4.2.1); 5xx will not."""
    return RefusedError(text) if code >= 500 else NotDeliveredError(text)
