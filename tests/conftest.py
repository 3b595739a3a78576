"""The order of the tests: those of the cluster take longest, so one process begins with them."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != "test_ray.py")
