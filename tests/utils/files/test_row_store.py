"""RowStore: values come back as they were, in key order, from a file that does not outlive it."""

import pytest

from utils.errors import DataError
from utils.files.row_store import PAGE, RowStore


@pytest.fixture
def store(tmp_path):
    with RowStore(tmp_path / "rows.sqlite") as store:
        yield store


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": [None, 1.5, True]},
        ["안녕하세요 👋", {"x": {}}],
        [],
        ["zero \x00 and half \ud83d pair"],
        ["'; DROP --"],
    ],
)
def test_a_value_comes_back_equal(store, value):
    store.put(7, value)
    assert store.get(7) == value


def test_text_is_stored_as_it_is_not_escaped(tmp_path):
    with RowStore(tmp_path / "rows.sqlite") as store:
        store.put(0, ["한국어"])
        assert "한국어".encode() in (tmp_path / "rows.sqlite").read_bytes()


def test_put_replaces_and_len_counts_keys(store):
    store.put_many((key, [key]) for key in range(10))
    store.put(3, ["new"])
    assert (len(store), store.get(3)) == (10, ["new"])


def test_a_missing_key_is_a_key_error(store):
    store.put(1, [])
    with pytest.raises(KeyError):
        store.get(2)


def test_items_come_in_key_order_over_several_pages(store):
    keys = [*range(-3, 2 * PAGE), 2**40]
    store.put_many((key, [key]) for key in reversed(keys))
    assert list(store.items()) == [(key, [key]) for key in keys]


def test_rows_may_be_written_while_items_are_read(store):
    store.put_many((key, ["old"]) for key in range(PAGE + 1))
    seen = []
    for key, value in store.items():
        seen.append((key, value[0]))
        if key == 0:
            store.put(PAGE, ["new"])
            store.put(PAGE + 1, ["added"])
    assert seen[-2:] == [(PAGE, "new"), (PAGE + 1, "added")]


def test_rows_before_an_error_of_the_source_stay(store):
    def rows():
        yield 0, ["kept"]
        raise OSError("the source broke")

    with pytest.raises(OSError, match="the source broke"):
        store.put_many(rows())
    store.put(1, ["later"])
    assert list(store.items()) == [(0, ["kept"]), (1, ["later"])]


def test_the_file_is_gone_after_closing(tmp_path):
    store = RowStore(tmp_path / "rows.sqlite")
    store.put(0, [])
    store.close()
    store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left_over", [b"", b"torn" * 1000])
def test_a_left_over_is_replaced(tmp_path, left_over):
    (tmp_path / "rows.sqlite").write_bytes(left_over)
    with RowStore(tmp_path / "rows.sqlite") as store:
        assert len(store) == 0


def test_a_left_over_of_a_spool_that_was_never_closed_is_replaced(tmp_path):
    killed = RowStore(tmp_path / "rows.sqlite")
    killed.put(0, ["old"])
    killed._db.close()
    with RowStore(tmp_path / "rows.sqlite") as store:
        assert len(store) == 0


@pytest.mark.parametrize("path", ["missing/rows.sqlite", "."])
def test_a_path_that_cannot_be_used_is_a_data_error(tmp_path, path):
    with pytest.raises(DataError, match="cannot use the scratch file"):
        RowStore(tmp_path / path)


def test_a_full_disk_is_a_data_error_that_says_so(store):
    store._db.execute("PRAGMA max_page_count = 4")
    with pytest.raises(DataError, match=r"full.*free space"):
        store.put_many((key, ["x" * 1000]) for key in range(1000))
