"""The rules of the house: siblings do not know each other, prompts are in use, and starting up is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
ROLES = {"evolver", "analyzer", "optimizer", "validator", "generator"}
SOURCES = [path for folder in (*sorted(ROLES), "utils") for path in sorted((PROJECT / folder).rglob("*.py"))]
HEAVY = {"openai", "datasets", "pandas", "pyarrow", "ray", "huggingface_hub", "aiohttp", "jinja2"}


def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imported(path: Path) -> set[str]:
    """Top-level names of all that a file imports, wherever it does so."""
    named = {alias.name for node in nodes(path) if isinstance(node, ast.Import) for alias in node.names}
    from_ = {node.module or "" for node in nodes(path) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in named | from_}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_role_imports_no_other_role_and_utils_none(path):
    own = path.relative_to(PROJECT).parts[0]
    assert not imported(path) & (ROLES | {"main", "tests", "bench"}) - {own}


def test_only_main_knows_several_roles():
    others = [path for path in PROJECT.glob("*.py") if path.name != "main.py"]
    assert [path.name for path in others if len(imported(path) & ROLES) > 1] == []
    assert imported(PROJECT / "main.py") >= ROLES


# Each room may import itself and those before it; "" is the ground, the files that lie flat in utils.
ROOMS = ["", "process", "files", "llm", "rows", "seeds", "text", "run", "outputs", "command"]


def room_of(parts: tuple[str, ...]) -> str:
    """The room of a module or of a file, by what follows `utils`."""
    return parts[0] if parts and (PROJECT / "utils" / parts[0]).is_dir() else ""


def test_a_room_of_utils_imports_only_rooms_before_it():
    assert {path.name for path in (PROJECT / "utils").iterdir() if any(path.glob("*.py"))} == {*ROOMS} - {""}
    for path in (PROJECT / "utils").rglob("*.py"):
        own = ROOMS.index(room_of(path.relative_to(PROJECT / "utils").parts[:-1]))
        modules = [node.module or "" for node in nodes(path) if isinstance(node, ast.ImportFrom)]
        used = {room_of(tuple(name.split(".")[1:])) for name in modules if name.split(".")[0] == "utils"}
        assert {room for room in used if ROOMS.index(room) > own} == set(), path


def test_every_prompt_is_used():
    texts = {
        node.value.removesuffix("/").rpartition("/")[2]
        for path in [*SOURCES, PROJECT / "main.py"]
        if path != PROJECT / "utils/prompts.py"
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    prompts = {path.stem for path in (PROJECT / "prompts").rglob("*.txt")}
    assert prompts
    assert prompts - texts == set()


def test_help_loads_nothing_heavy():
    words = [sys.executable, "-X", "importtime", "main.py", "--help"]
    ran = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "utils.config" in loaded
    assert not HEAVY & loaded


def test_the_configuration_loads_no_database():
    code = "import sys, utils.config; print(*(name for name in sys.modules if name.startswith(('sqlite3', 'utils'))))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "utils.schema" in ran.stdout.split()
    assert "sqlite3" not in ran.stdout.split()
