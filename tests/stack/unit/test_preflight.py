"""Before anything is started: taken ports and full disks are named."""

import socket
from pathlib import Path

import pytest

from stack.errors import MachineError, PortTakenError
from stack.part import Launch, Part
from stack.preflight import check_disk, check_ports

pytestmark = pytest.mark.unit


def part(name: str, **listeners: int) -> Part:
    listening = {listener.replace("_", "-"): port for listener, port in listeners.items()}
    return Part(name=name, prepare=lambda _: Launch(("true",)), probe=lambda: None, listeners=listening)


def test_a_taken_port_is_named_with_the_part_the_holder_and_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            check_ports([part("serving"), part("kafka", kafka_controller=port)], 7070)
    message = str(caught.value)
    assert f"Port {port} is taken by " in message
    assert "kafka (kafka-controller) needs it" in message
    assert "MILLRACE_STACK_BASE_PORT (now 7070)" in message


def test_a_port_taken_on_all_addresses_is_taken() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server, pytest.raises(PortTakenError):
        check_ports([part("serving", serving=server.getsockname()[1])], 7070)


def test_a_port_whose_last_connections_linger_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address), server.accept()[0] as accepted:
            accepted.close()  # the side that closes first is the one that lingers
    check_ports([part("serving", serving=address[1])], 7070)


def test_folders_are_made_and_one_with_room_is_fine(tmp_path: Path) -> None:
    check_disk([tmp_path / "a" / "b"], 1)
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_too_little_room_is_named_with_the_folder_and_the_settings(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=rf"MiB are free under {tmp_path}.*MILLRACE_STACK_MINIMUM_FREE_DISK_MB"):
        check_disk([tmp_path], 2**40)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match=r"file/home cannot be written.*MILLRACE_HOME"):
        check_disk([tmp_path / "file" / "home"], 1)
