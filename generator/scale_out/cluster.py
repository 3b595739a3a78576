"""The connection to a Ray cluster, and what every process there needs of the driver's node."""

import asyncio
import io
import logging
import os
import queue
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

# Read once, as Ray is loaded: its own news are not for our stderr, and what an ended pass has left behind in a thread
# must not start a cluster of its own.
os.environ.update(RAY_BACKEND_LOG_LEVEL="fatal", RAY_ENABLE_AUTO_CONNECT="0")
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from utils.errors import AutoEvolError, EndpointError
from utils.journal import Archive, Recorded
from utils.storage import LocalFolder, ObjectStore, Store, brief, is_url

if TYPE_CHECKING:
    from ray.data import Dataset

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parent.parent.parent
NOT_SHIPPED = [".git", ".venv", ".env", "*.run", "/tests", "/bench", "__pycache__", ".pytest_cache", ".ruff_cache"]
CPUS = 0.1  # of an actor of ours: less than one, so that a node that dies does not take the only place for it
POLL = 0.2  # seconds
QUIET = 600.0  # seconds without a sign of life from anyone after which the run stops
CONNECT_TIMEOUT = 10.0  # seconds
PATIENCE = 30.0  # seconds for an answer from the driver's node
BLOCKS = 2_000  # tasks of one Ray data set at most; each does one row or several
WAITING = 1_000  # rows of a Ray data set that may wait for the driver
LONGEST_NEWS = 500  # characters of a line of Ray's that are logged
MARK = ".this_folder"
AN_ERROR = re.compile(r"^\s*([\w.]+(?:Error|Exception): .*)", re.MULTILINE)
LOOK = "look at the nodes of the cluster and at the packages on them, then run again"


class Keeper:
    """Stands on the driver's node: hands out keys, looks into its journal, and keeps files of nodes that see no disk
    in common with it.
    """

    def __init__(self, journal: Path) -> None:
        self._environment: dict[str, str] = {}
        self._archive = Archive(journal)
        self._heard = time.monotonic()

    def keep(self, environment: dict[str, str]) -> None:
        """The keys that workers need. A call goes from process to process: no file, log or table of Ray has them."""
        self._environment = environment

    def environment(self) -> dict[str, str]:
        return self._environment

    def hear(self) -> None:
        """A sign of life."""
        self._heard = time.monotonic()

    def quiet(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._heard

    def known(self) -> bytes:
        return self._archive.prefixes()

    def recorded(self, key: bytes) -> Recorded | None:
        return self._archive.get(key)

    def store(self, root: str, act: str, *args: Any) -> Any:
        """What a LocalFolder does, done here."""
        return getattr(LocalFolder(Path(root)), act)(*args)


class KeptFolder:
    """A folder of the driver's node, by way of its keeper: for nodes that do not see it."""

    flush_every = 0.5

    def __init__(self, keeper: Any, root: str) -> None:
        self._keeper, self._root = keeper, root

    def _ask(self, act: str, *args: Any) -> Any:
        try:
            return ray.get(self._keeper.store.remote(self._root, act, *args))
        except AutoEvolError as exc:
            raise as_raised(exc) from exc

    def read(self, name: str) -> bytes | None:
        return self._ask("read", name)

    def write(self, name: str, content: bytes) -> None:
        self._ask("write", name, content)

    def append(self, name: str, content: bytes) -> None:
        self._ask("append", name, content)

    def names(self, folder: str) -> list[str]:
        return self._ask("names", folder)

    def delete(self, names: Iterable[str]) -> None:
        self._ask("delete", list(names))


def as_raised(exc: BaseException) -> BaseException:
    """An error of ours as it was raised: what comes out of Ray has a traceback for its text."""
    return getattr(exc, "cause", None) or exc


def cause_of(exc: BaseException) -> str:
    """What an error of Ray comes from, on one line: of the tracebacks in its text the first has what began it."""
    found = AN_ERROR.search(str(exc))
    return found[1][:LONGEST_NEWS] if found else brief(exc)


@dataclass(frozen=True)
class Place:
    """A folder of the run, or an object store, as every process of the cluster finds it."""

    root: str
    mark: str
    keeper: Any

    def here(self) -> Store:
        """The store as the driver reaches it, with or without a cluster."""
        return ObjectStore(self.root) if is_url(self.root) else LocalFolder(Path(self.root))

    def open(self) -> Store:
        """The store as any process of the cluster reaches it: directly, where it sees the very same folder."""
        store = self.here()
        if is_url(self.root) or store.read(MARK) == self.mark.encode():
            return store
        return KeptFolder(self.keeper, self.root)


class Cluster:
    """A Ray cluster, connected to at first use; everything that runs there for us ends with `close`.

    `address` None is one of this machine, started and ended with the run, unless RAY_ADDRESS names one. `names` are
    the environment variables that workers need, `journal` the driver's.
    """

    def __init__(self, address: str | None, names: Iterable[str], journal: Path) -> None:
        self._address = address or os.environ.get("RAY_ADDRESS") or "local"
        self._names = tuple(names)
        self._journal = journal
        self._keeper: Any = None
        self._mark = uuid4().hex  # nobody else's folder holds it
        self._news = ExitStack()

    @property
    def keeper(self) -> Any:
        """The keeper, once connected. Raises EndpointError where the cluster cannot be reached."""
        if self._keeper is None:
            self._connect()
            self._keeper = self.remote(Keeper, here=True).remote(self._journal.absolute())
            self._keeper.keep.remote({name: os.environ[name] for name in self._names if name in os.environ})
        return self._keeper

    def _connect(self) -> None:
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters comes as an exception
        options: dict[str, Any] = {"include_dashboard": False} if self._address == "local" else {}
        if self._address != "local":
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "2")  # tries, a quarter of a minute each, not 20
        if self._address != "local" and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # in a job the code is there
            options["runtime_env"] = {"working_dir": str(PROJECT), "excludes": NOT_SHIPPED}
        self._news.enter_context(redirect_stdout(_News()))
        terminate = signal.getsignal(signal.SIGTERM)
        quiet = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}
        try:
            _knock(self._address)
            with _stderr_closed():  # to a line that tells of the log level above
                ray.init(address=self._address, **quiet, **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as exc:
            raise EndpointError(
                f"cannot use the Ray cluster at {self._address} ({brief(exc)}); check --ray-address and RAY_AUTH_MODE"
            ) from exc
        signal.signal(signal.SIGTERM, terminate)  # Ray has put its own in the place of ours

    def remote(self, actor: type, here: bool = False, **options: Any) -> Any:
        """A class as an actor of ours; `here` is on the driver's node, whatever else runs there."""
        if here:
            options |= {"num_cpus": 0, "scheduling_strategy": on_this_node()}
        return ray.remote(actor).options(**{"num_cpus": CPUS, **options})

    def place(self, root: str) -> Place:
        """A folder of the driver's node, or a URL, for all processes."""
        if not is_url(root):
            root = str(Path(root).absolute())
            LocalFolder(Path(root)).write(MARK, self._mark.encode())
        return Place(root, self._mark, self.keeper)

    async def stream(self, dataset: Callable[[], Any], take: Callable[[dict[str, Any]], None]) -> None:
        """Run a Ray data set, and give `take` all its rows.

        Raises what `take` raises, and EndpointError where Ray gives up or nothing is heard any more.
        """
        self.keeper.hear.remote()
        running = Stream(dataset)
        running.start()
        while running.is_alive():
            for row in running.taken():
                take(row)
            await asyncio.sleep(POLL)
            await self._listen()
        for row in running.taken():
            take(row)
        if running.fault:
            raise EndpointError(f"Ray Data gave up ({cause_of(running.fault)}); {LOOK}")

    async def result(self, reference: Any) -> Any:
        """What a task or an actor gives. Raises RayError where it dies, EndpointError for silence."""
        self.keeper.hear.remote()
        future = asyncio.wrap_future(reference.future())
        while not (await asyncio.wait({future}, timeout=POLL))[0]:
            await self._listen()
        try:
            return future.result()
        except AutoEvolError as exc:
            raise as_raised(exc) from exc

    async def _listen(self) -> None:
        if await self.ask(self.keeper.quiet.remote()) > QUIET:
            raise EndpointError(f"nothing was heard from the Ray cluster for {QUIET:.0f} s; look at it, run again")

    async def ask(self, answer: Any) -> Any:
        """What an actor on the driver's node answers. Raises EndpointError where it does not."""
        try:
            return await asyncio.wait_for(answer, PATIENCE)
        except (TimeoutError, ray.exceptions.RayError) as exc:
            raise EndpointError(
                f"the Ray node of this program does not answer ({brief(exc)}); look at it, then run again"
            ) from exc

    def close(self) -> None:
        self._keeper = None
        ray.shutdown()  # which does nothing where there is no connection
        self._news.close()


class _News(io.TextIOBase):
    """Takes what Ray prints to stdout when a worker dies: stdout is for the summary of the run."""

    def write(self, text: str) -> int:
        for line in filter(str.strip, text.splitlines()):
            log.debug("Ray: %s", line[:LONGEST_NEWS])
        return len(text)


def _knock(address: str) -> None:
    """Raises OSError where nobody listens at HOST:PORT, which Ray itself would take minutes to say."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT).close()


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """What native code writes to stderr meanwhile is lost; Python's errors are exceptions and are not."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def on_this_node() -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def in_blocks(lines: list[dict[str, Any]], together: int = 1) -> "Dataset":
    """A Ray data set of small rows, so many of them `together` in a block, more where there are very many."""
    import ray.data  # it takes its time, and most actors do without it

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what matters comes as an exception
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray.data.from_items(lines, override_num_blocks=min(BLOCKS, -(-len(lines) // together)))


class Stream(threading.Thread):
    """Ray Data's part, in a thread of its own, as it blocks; a daemon, as nothing can end it."""

    def __init__(self, dataset: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._dataset = dataset
        self._rows: queue.Queue[dict[str, Any]] = queue.Queue(WAITING)
        self.fault: Exception | None = None

    def taken(self) -> Iterator[dict[str, Any]]:
        """The rows that have come since the last time; Ray Data waits for whoever does not take them."""
        while not self._rows.empty():
            yield self._rows.get()

    def run(self) -> None:
        try:
            for row in self._dataset().iter_rows():
                self._rows.put(row)
        except Exception as exc:
            self.fault = exc
