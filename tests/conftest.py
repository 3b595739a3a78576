"""The order of the tests: those of the cluster take longest, so one process begins with them."""

import signal

import pytest

# A shell ignores SIGINT for what it starts in the background; commands under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != "test_ray.py")
