"""The connection to a Ray cluster, and its errors in words."""

import logging
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

# Ray reads these as it is loaded: its own messages stay off our stderr, and a thread left over starts no cluster.
os.environ.update(RAY_BACKEND_LOG_LEVEL="fatal", RAY_ENABLE_AUTO_CONNECT="0")
import ray

from utils.errors import EndpointError
from utils.files.storage import brief

PROJECT = Path(__file__).resolve().parent.parent.parent
NOT_SHIPPED = [".git", ".venv", ".env", "*.run", "/tests", "/bench", "__pycache__", ".pytest_cache", ".ruff_cache"]
CONNECT_TIMEOUT, LONGEST = 10.0, 500  # seconds; characters of an error of Ray's that are shown
LOOK = "look at the nodes of the cluster and at the packages on them, then run again"


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to the cluster at `address`; all that runs there for us ends with the connection. Raise EndpointError.

    None is a Ray of this machine, started and ended with the run, unless RAY_ADDRESS names another.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters comes as an exception
    terminate = signal.getsignal(signal.SIGTERM)
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "2")  # not 20 tries, each of a quarter of a minute
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    if address != "local" and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # in a job the code is there
        options["runtime_env"] = {"working_dir": str(PROJECT), "excludes": NOT_SHIPPED}
    try:
        _knock(address)
        with _stderr_closed():  # hides a line that tells of the log level above
            ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as exc:
        raise EndpointError(
            f"cannot use the Ray cluster at {address} ({brief(exc)}); check --ray-address and RAY_AUTH_MODE"
        ) from exc
    signal.signal(signal.SIGTERM, terminate)  # Ray has put its own in the place of ours
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # hides what Ray prints when a worker dies
            yield
    finally:
        ray.shutdown()


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Discard what is written to stderr meanwhile, by native code; Python's errors are exceptions and are not lost."""
    with open(os.devnull, "w") as nowhere, os.fdopen(os.dup(2), "w") as kept:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept.fileno(), 2)


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT, which Ray itself would take minutes to notice."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT).close()


def this_node() -> dict[str, str]:
    """Return the label by which Ray schedules on the driver's node."""
    return {"ray.io/node-id": ray.get_runtime_context().get_node_id()}


def cause_of(exc: BaseException) -> str:
    """Say on one line what caused an error of Ray: the first of the tracebacks in its text names what began it."""
    found = re.search(r"(?m)^\s*([\w.]+(?:Error|Exception): .*)", str(exc))
    return found[1][:LONGEST] if found else brief(exc)
