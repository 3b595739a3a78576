"""Prompts: files filled in one pass; what is filled in is never a template and never another case."""

import pytest

from tests.builders import HOSTILE
from utils.prompts import INDENT, PROMPT_FOLDER, all_prompts, case_block, fill, template, use_prompts

NAMES = sorted(str(path.relative_to(PROMPT_FOLDER).with_suffix("")) for path in PROMPT_FOLDER.rglob("*.txt"))


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
    assert list(files) == NAMES
    use_prompts({"retry": "Again: $reason", "../README": "$x", "once": "a prompt of former times"})
    assert fill("retry", reason="$why") == "Again: $why"
    assert all_prompts() == files | {"retry": "Again: $reason"}
    use_prompts({"repair": files["repair"]})
    assert all_prompts() == files


@pytest.mark.parametrize("text", ["Again.", "Again: $reason $more", "Again: $reason for $ 5"])
def test_a_prompt_of_a_recording_has_the_variables_of_its_file(text):
    with pytest.raises(ValueError, match=r"'retry' has other variables than \['reason'\]"):
        use_prompts({"retry": text})
    assert template("retry").template != text


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
