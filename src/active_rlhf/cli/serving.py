"""Serving pages from a thread while a command does something else."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from active_rlhf.errors import InputError

if TYPE_CHECKING:
    from starlette.types import ASGIApp


@contextmanager
def serving(app: "ASGIApp", host: str, port: int) -> Iterator[int]:
    """Serve an application meanwhile; gives the port, which 0 leaves to the system.

    Raises InputError if it cannot be used.
    """
    import uvicorn

    if not 0 <= port <= 65535:
        raise InputError(f"--port: must be 0 to 65535, not {port}")
    try:
        listening = socket.create_server((host, port), family=_family(host), backlog=256)
    except OSError as error:
        raise InputError(
            f"--port: {host}:{port} cannot be used ({error.strerror}); "
            "give another, or end what listens there"
        ) from error
    options: dict[str, Any] = {
        "lifespan": "off",
        "log_level": "warning",
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
    }
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            **options,
            timeout_graceful_shutdown=3,
            timeout_keep_alive=30,
            limit_concurrency=1000,
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
