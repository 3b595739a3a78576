"""Places for files: a folder and an object store behave alike, and neither shows half a file."""

import pickle
from collections.abc import Iterator

import pytest

from tests.object_store import environment, object_store
from utils.errors import DataError
from utils.files.storage import LocalFolder, ObjectStore, Store, brief, file_system
from utils.urls import holds_password


@pytest.fixture(scope="module", autouse=True)
def s3() -> Iterator[None]:
    with object_store() as variables, environment(variables):
        yield


@pytest.fixture(params=["folder", "object store"])
def store(request, tmp_path) -> Store:
    return LocalFolder(tmp_path / "root") if request.param == "folder" else ObjectStore(f"s3://bucket/{tmp_path.name}/")


def test_what_is_written_is_read_listed_and_deleted(store):
    assert (store.read("a/b.txt"), store.names("a")) == (None, [])
    store.write("a/b.txt", b"one")
    store.write("a/b.txt", b"two")
    store.write("a/c/d.txt", b"")
    store.write("ab/e.txt", b"other")
    assert (store.read("a/b.txt"), store.read("a/c/d.txt")) == (b"two", b"")
    assert store.names("a") == ["a/b.txt", "a/c/d.txt"]
    store.delete(["a/b.txt", "a/c/d.txt", "a/gone.txt"])
    assert (store.read("a/b.txt"), store.names("a"), store.names("ab")) == (None, [], ["ab/e.txt"])


def test_bytes_come_back_as_they_were_whatever_the_name_promises(store):
    other = pickle.loads(pickle.dumps(store))  # as it travels to another process
    other.write("a/b.gz", b"plain")
    assert store.read("a/b.gz") == b"plain"


def test_a_half_written_file_is_not_listed(tmp_path):
    store = LocalFolder(tmp_path)
    store.write("a/b", b"whole")
    (tmp_path / "a" / ".c.tmp").write_bytes(b"ha")
    assert store.names("a") == ["a/b"]


def test_a_place_that_fails_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = LocalFolder(tmp_path)
    for act in (lambda: store.write("file/x", b""), lambda: store.read("")):
        with pytest.raises(DataError, match=r"^cannot (write|read) .*: check|cannot (write|read) .*; ") as caught:
            act()
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("url", ["s3://gone/x", "s3://gone"])
def test_a_bucket_that_is_not_there_is_one_line(url):
    store = ObjectStore(url)
    with pytest.raises(DataError, match=r"^cannot write s3://gone.*check the address"):
        store.write("x", b"")


@pytest.mark.parametrize("url", ["ftp://x/y", "nonsense://", "s3://[/x"])
def test_an_unknown_scheme_is_one_line(url):
    with pytest.raises(DataError, match=r"^cannot open .*check the address"):
        file_system(url)


def test_secrets_in_addresses_are_known_and_not_repeated():
    assert holds_password("s3://key:secret@bucket/x")
    assert not holds_password("abfs://container@account.dfs.core.windows.net/x")
    assert not holds_password("hf://datasets/org/name@main/x")
    assert not holds_password("data/key:secret@x.jsonl")
    assert brief(ValueError("no\n  token hf_abc here"), ["hf_abc", None]) == "ValueError: no token *** here"
