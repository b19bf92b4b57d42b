"""Whether the gateway may begin to listen: with SO_REUSEPORT it would share a port with anybody's."""

import socket

import pytest

from ingestion.errors import StartRefusedError
from ingestion.workers import await_port

pytestmark = pytest.mark.unit


def test_a_port_that_somebody_keeps_is_refused_with_its_setting_and_a_free_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartRefusedError, match=rf"MILLRACE_GATEWAY_PORT: cannot listen on 127\.0\.0\.1:{port}: "):
            await_port("127.0.0.1", port, drain_seconds=-5)  # no patience at all
    await_port("127.0.0.1", port, drain_seconds=-5)


def test_an_address_of_another_machine_is_refused_at_once() -> None:
    with pytest.raises(StartRefusedError, match="cannot listen on 192"):
        await_port("192.0.2.1", 1, drain_seconds=60)
