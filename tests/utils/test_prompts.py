"""Prompts: files filled in one pass; what is filled in is never a template and never another case."""

import shutil

import pytest

from tests.builders import HOSTILE
from utils.errors import ConfigError
from utils.prompts import (
    INDENT,
    PROMPT_FOLDER,
    VARIABLES,
    all_prompts,
    case_block,
    fill,
    template,
    use_prompts,
)

NAMES = sorted(str(path.relative_to(PROMPT_FOLDER).with_suffix("")) for path in PROMPT_FOLDER.rglob("*.txt"))


def test_the_variables_of_every_prompt_are_said():
    assert sorted(VARIABLES) == NAMES
    for name in NAMES:
        assert sorted(template(name).get_identifiers()) == VARIABLES[name].split()


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_is_a_valid_template_of_utf8_text(name):
    assert template(name).is_valid()
    assert template(name).template.strip()
    assert "\r" not in template(name).template


@pytest.mark.parametrize("name", [name for name in NAMES if template(name).get_identifiers()])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_values_travel_unharmed(name, text):
    values = dict.fromkeys(template(name).get_identifiers(), text)
    filled = fill(name, **values)
    assert filled.count(text) >= len(values)
    rest = filled.replace(text, "")
    assert len(rest) <= len(template(name).template)


def test_values_and_variables_must_be_the_same():
    with pytest.raises(KeyError, match="instruction"):
        fill("evolve", method="m", context="", retry="")
    with pytest.raises(KeyError, match="extra"):
        fill("retry", reason="r", extra="x")


@pytest.fixture
def restored():
    yield
    use_prompts({})


@pytest.mark.usefixtures("restored")
def test_prompts_of_a_recording_take_the_place_of_the_files_until_others_do():
    files = all_prompts()
    use_prompts({"retry": "Again: $reason", "../README": "$x", "once": "a prompt of former times"})
    assert fill("retry", reason="$why") == "Again: $why"
    assert all_prompts() == files | {"retry": "Again: $reason"}
    use_prompts({"repair": files["repair"]})
    assert all_prompts() == files


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("text", ["Again.", "Again: $reason $more", "Again: $reason for $ 5"])
def test_a_prompt_of_a_recording_has_the_variables_of_today(text):
    with pytest.raises(ConfigError, match=r"another prompt 'retry', without just \$reason; replay it with"):
        use_prompts({"retry": text})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the prompts, to be spoilt."""
    shutil.copytree(PROMPT_FOLDER, tmp_path / "prompts")
    monkeypatch.setattr("utils.prompts.PROMPT_FOLDER", tmp_path / "prompts")
    return tmp_path / "prompts"


SPOILT = {
    b"Again: $reasons": r"prompts/retry.txt must hold \$reason and no other name",
    b"Again: $reason for $ 5": r"prompts/retry.txt must hold .*; write a dollar sign as \$\$",
    b"\xff\xfe\x00": r"prompts/retry.txt is not UTF-8; save it",
    None: "cannot read prompts/retry.txt: No such file",
}


@pytest.mark.parametrize(("content", "message"), SPOILT.items())
def test_a_file_that_cannot_be_filled_is_an_error_before_anything_is_paid(folder, content, message):
    (folder / "retry.txt").unlink()
    if content:
        (folder / "retry.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        use_prompts({})


def test_a_prompt_may_be_written_anew(folder):
    (folder / "retry.txt").write_bytes(b"\xef\xbb\xbfFor $$5 again:\r\n$reason\r\n")
    (folder / "initial_method.txt").write_text("Add a price in $.")
    (folder / "retry.txt~").write_text("Again.")
    use_prompts({})
    assert fill("retry", reason="$x") == "For $5 again:\n$x"


def test_a_case_is_a_heading_and_named_lines_whose_further_lines_are_indented():
    block = case_block(3, [("Stage 0", "one\ntwo\r\n\nfour"), ("Stage 1", ""), ("Found", "x")])
    assert block == f"### Case 3\nStage 0: one\n{INDENT}two\n{INDENT}\n{INDENT}four\nStage 1: \nFound: x"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_reader_of_lines_takes_a_text_for_a_line_of_the_case(text):
    lines = case_block(1, [("Stage 0", text), ("Stage 1", text)]).splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith(INDENT)] == [
        "### Case 1",
        "Stage 0",
        "Stage 1",
    ]
