"""Signals: the first ends a run in good order, the second at once, whatever the program is busy with."""

import signal
import subprocess
import sys

import pytest

from tests.command import PROJECT, TIMEOUT

BEGIN = """
import asyncio, hashlib, os, signal
from utils.errors import Interrupted
from utils.llm.ledger import Ledger
from utils.run.display import Display
from utils.process.stopping import Stop

def ready():
    print("ready", flush=True)

def in_c():
    ready()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes in one call, in which no handler of Python runs

def in_python():
    ready()
    while True:
        pass

"""
ENDINGS = {
    "before a run": "with Stop():\n    try:\n        {busy}()\n    except KeyboardInterrupt:\n        {busy}()",
    "in a run": (
        "async def work():\n    {busy}()\n    await asyncio.sleep(1000)\n"
        "with Stop() as stop:\n    asyncio.run(stop.stoppable(work()))"
    ),
    "in the end of a run": (
        "async def work():\n    ready()\n    try: await asyncio.sleep(1000)\n    finally: {busy}()\n"
        "with Stop() as stop:\n    asyncio.run(stop.stoppable(work()))"
    ),
}


def started(code: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", BEGIN + code]
    return subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code, and what was said; the limit is against hanging alone."""
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    return process.returncode, out + err


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("busy", ["in_c", "in_python"])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_it_at_once(ending, busy, first):
    process = started(ENDINGS[ending].format(busy=busy))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(first)
    if ending == "in the end of a run" or (ending == "before a run" and busy == "in_python"):
        assert process.stdout.readline() == "ready\n"  # the first one was heard
    process.send_signal(signal.SIGTERM if first == signal.SIGINT else signal.SIGINT)
    code, said = ended(process)
    assert (code, "Traceback" in said) == (130, False)


def test_between_two_items_of_a_computation_the_first_signal_is_heard():
    code, said = ended(
        started(
            "def items():\n    for number in range(10**9):\n        yield number\n"
            "        if number == 3: os.kill(os.getpid(), signal.SIGTERM)\n"
            "async def work():\n"
            "    try:\n"
            "        for item in Display(Ledger(), quiet=True).each('computing', items(), 10**9): last = item\n"
            "    finally:\n"
            "        await asyncio.sleep(0)  # what is cleared up then is not cancelled once more\n"
            "        print('left at', last)\n"
            "with Stop() as stop:\n"
            "    try: asyncio.run(stop.stoppable(work()))\n"
            "    except Interrupted as exc: print(exc)\n"
        )
    )
    assert (code, said) == (0, "left at 3\ninterrupted\n")


def test_a_terminal_that_hangs_up_twice_is_one_signal():
    code, said = ended(
        started(
            "async def work():\n"
            "    os.kill(os.getpid(), signal.SIGHUP)\n"
            "    try: await asyncio.sleep(1000)\n"
            "    finally:\n"
            "        os.kill(os.getpid(), signal.SIGHUP)\n"
            "        await asyncio.sleep(0.01)\n"
            "        print('in good order')\n"
            "with Stop() as stop:\n"
            "    try: asyncio.run(stop.stoppable(work()))\n"
            "    except Interrupted as exc: print(exc)\n"
        )
    )
    assert (code, said) == (0, "in good order\ninterrupted\n")


def test_what_is_ignored_stays_ignored():
    code, said = ended(
        started(
            "signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does\n"
            "with Stop(): os.kill(os.getpid(), signal.SIGHUP)\n"
            "print(signal.getsignal(signal.SIGHUP).name, signal.getsignal(signal.SIGTERM).name)\n"
        )
    )
    assert (code, said) == (0, "SIG_IGN SIG_DFL\n")
