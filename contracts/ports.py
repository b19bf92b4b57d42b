"""Whether a server can have a port, asked as servers ask: by binding and listening."""

import socket


def fault_of_listening(host: str, port: int) -> OSError | None:
    """Why nobody can listen there now; None where somebody could.

    Connections of an earlier run that linger in TIME_WAIT do not count.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None
