"""The report: what it says, that nothing in it can do harm, and that it stays small whatever a run holds."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from tests.report_folder import ATTACKS, LEARNED, Folder, candidate, evolved, make_folder, rejected, set_aside
from utils.command.arguments import parse_arguments
from utils.errors import DataError
from utils.files.row_store import RowStore
from utils.outputs.report import write_report
from utils.outputs.report.page import TEMPLATES, environment, script_data
from utils.outputs.report.repeat import repeat_command
from utils.outputs.report.rows import LONGEST, OUTCOMES, read_rows
from utils.outputs.report.sampling import BUDGET, EACH, SHOWN, survey
from utils.outputs.report.texts import TEXTS, language_of_locale, read_texts
from utils.outputs.report.word_diff import word_pieces
from utils.rows.records import StoredRow
from utils.text.measures.tags import TagComparison
from validator.rules import ANSWER_RULES, REWRITE_RULES
from validator.verdicts import OTHER_REASONS

ENGLISH, KOREAN = read_texts("en"), read_texts("ko")
ROWS = (
    evolved(0, "Name river 0 and say why it matters."),
    evolved(1, "Name river 1, and its length.", labels=["stagnant"]),
)
REJECTS = (
    rejected(2, "unreadable", reply="no heading here"),
    rejected(3, "lost", instruction="Name a river."),
    rejected(4, "lost", instruction="Rivers."),
    rejected(5, "unavailable"),
    set_aside(6, "duplicate"),
)


class Reader(HTMLParser):
    """Collects the elements of a page, its visible text and the data of its script."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown, self.data, self._inside = "", "", ""
        self.feed(page)
        self.close()

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))
        if name in ("script", "style"):
            self._inside = name + (dict(attributes).get("id") or "")

    handle_startendtag = handle_starttag

    def handle_endtag(self, name):
        if name in ("script", "style"):
            self._inside = ""

    def handle_data(self, text):
        if self._inside == "scriptdata":
            self.data += text
        elif not self._inside:
            self.shown += text + " "

    @property
    def rows(self) -> list[dict]:
        return json.loads(self.data)["rows"]

    def names(self) -> set[str]:
        return {name for name, _ in self.tags}


def squeezed(text: str) -> str:
    return " ".join(text.split())


def text_of(pieces: list) -> str:
    return "".join(text for kind, text in pieces if kind in "=+")


@pytest.fixture
def whole(tmp_path):
    return make_folder(tmp_path, ROWS, REJECTS, LEARNED, measured=True)


# --- What it says ------------------------------------------------------------------------------------


def test_it_counts_every_outcome_and_names_reasons(whole):
    shown = squeezed(Reader(whole.write()).shown)
    for told in ("Seeds in 7", "Evolved 2 28.6% of the rows", "Eliminated 3", "Set aside 1", "Unavailable 1"):
        assert told in shown
    assert "Information lost lost 2 · 28.6%" in shown
    assert "Duplicate duplicate 1 · 14.3%" in shown
    assert "do not add up" not in shown


def test_it_says_when_files_are_of_different_runs(tmp_path):
    folder = make_folder(tmp_path, ROWS, REJECTS)
    (folder.path / "rejects.jsonl").write_text("")
    assert "do not add up" in folder.write()


def test_it_shows_every_candidate_with_its_interval(whole):
    shown = squeezed(Reader(whole.write()).shown)
    assert "Initial method: 83.3% [43.6%, 97.0%], 5 of 6 failed" in shown
    assert "Step 1, draw 0: 40.0% [11.8%, 76.9%], 2 of 5 failed" in shown
    assert "Step 1, draw 1: 100.0% [34.2%, 100.0%], 2 of 2 failed" in shown
    assert "Failure rate λ 40.0% 11.8%–76.9%; from 83.3% at the start" in shown


def test_the_winners_line_goes_on_level_where_no_candidate_was_better(tmp_path):
    history = (*LEARNED, candidate(2, 0, "Worse.", "ffffff", parent=LEARNED[1].score.method.text))
    lines = re.findall(r'<line [^>]*class="winner"/>', make_folder(tmp_path, ROWS, (), history).write())
    ends = [re.search(r'y1="([\d.]+)".*y2="([\d.]+)"', line).groups() for line in lines]
    assert len(ends) == 2
    assert float(ends[0][0]) < float(ends[0][1])  # down the page is a lower rate
    assert ends[1][0] == ends[1][1] == ends[0][1]


def test_it_shows_what_changed_in_a_method_and_why(whole):
    page = whole.write()
    assert "<del>one constraint</del><ins>two constraints</ins><span>. Keep the language.</span>" in page
    assert "It adds &lt;b&gt;too little&lt;/b&gt;." in page
    assert page.count("used in the final run") == 1
    assert page.count(">selected<") == 2


def test_a_method_of_the_same_text_is_not_shown_twice(tmp_path):
    again = candidate(1, 2, LEARNED[1].score.method.text, "pppff", parent=LEARNED[0].score.method.text)
    page = make_folder(tmp_path, ROWS, (), (*LEARNED, again)).write()
    assert "The same text as Step 1, draw 0." in page
    assert page.count("used in the final run") == 1


def test_rows_of_the_result_are_counted_by_method(tmp_path):
    first, second = (each.score.method.id for each in LEARNED[:2])
    made_by = (second, first, second)
    rows = [evolved(n, f"Name river {n} now.") for n in range(3)]
    for row, method_id in zip(rows, made_by, strict=True):
        row["stages"][0]["method_id"] = method_id
    page = squeezed(make_folder(tmp_path, rows, (), LEARNED).write())
    bars = page.split("Rows of the result by the method of their last stage")[1].split("</section>")[0]
    assert re.findall(r'class="(?:name|count)">(\w+)<', bars) == [second, "2", first, "1"]


def test_it_shows_calls_tokens_and_cost_in_the_order_of_stages(whole):
    shown = squeezed(Reader(whole.write()).shown)
    assert "Evolve 12 3 0 4,500 70 600 0.2500 Answer 12 3 0" in shown
    assert "All 24 6 0 9,000 140 1,200 0.5000" in shown
    assert "Time 1 min 15 s retries: 1" in shown


def test_it_shows_measures_of_seeds_and_generations(whole):
    shown = squeezed(Reader(whole.write()).shown)
    assert "Measure Seeds Generation 1" in shown
    assert "Instructions 6 2" in shown
    assert "Overlap with the parent (ROUGE‑L) –" in shown
    assert "needs HanTa" in shown


def test_rows_hold_the_trajectory_with_what_was_added(whole):
    rows = {row["id"]: row for row in Reader(whole.write()).rows}
    assert list(rows) == [0, 1, 2, 3, 4, 5, 6]
    [[method, pieces]] = rows[0]["stages"]
    assert method == "m1"
    assert pieces == [["=", "Name river 0 "], ["+", "and say why it matters"], ["=", "."]]
    assert rows[1]["labels"] == ["stagnant"]
    assert text_of(rows[2]["reply"]) == "no heading here"
    assert [rows[n]["outcome"] for n in (2, 5, 6)] == ["eliminated", "unavailable", "set_aside"]


def test_rows_hold_what_was_said_before_and_the_answers_not_chosen(tmp_path):
    said = [{"role": "system", "content": "Be <b>brief</b>."}, {"role": "user", "content": "Hello"}]
    sampled = [("An answer.", "right"), ("A slip.", "partly"), ("An answer.", "right"), ("Unread.", None)]
    answers = [{"text": text, "grade": grade, "reasoning": None} for text, grade in sampled]
    with_both = evolved(0, "Name river 0.") | {"response": "An answer.", "context": said, "answers": answers}
    row, plain = Reader(make_folder(tmp_path, (with_both, ROWS[1])).write()).rows
    assert text_of(row["context"]) == "[system]\nBe <b>brief</b>.\n\n[user]\nHello"
    others = [(grade, text_of(pieces)) for grade, pieces in row["others"]]
    assert others == [("partly", "A slip."), ("right", "An answer."), (None, "Unread.")]
    assert (plain["context"], plain["others"]) == (None, [])


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_all_shapes_of_the_result_give_the_same_rows(tmp_path, suffix):
    folder = make_folder(tmp_path, ROWS, REJECTS, suffix=suffix)
    assert [row["id"] for row in Reader(folder.write()).rows] == [0, 1, 2, 3, 4, 5, 6]


def test_the_same_files_give_the_same_page(whole):
    assert whole.write() == whole.write()


# --- Languages ---------------------------------------------------------------------------------------


def test_korean_by_flag(whole):
    page = whole.write("ko")
    shown = squeezed(Reader(page).shown)
    assert '<html lang="ko">' in page
    for told in ("한눈에 보기", "입력 시드 7", "정보 누락 lost 2", "1단계 표본 0: 40.0%", "되풀이하는 명령"):
        assert told in shown
    for english in ("At a glance", "Eliminated", "Step 1", "Trajectories"):
        assert english not in shown


@pytest.mark.parametrize(("text", "lang"), [("강의 이름을 말해 줘.", "ko"), ("Name a river.", "en")])
def test_the_language_of_most_seeds_is_the_default(tmp_path, text, lang):
    rows = [evolved(0, "x y z", seed="Was ist das?"), *(evolved(n, text + "!", seed=text) for n in (1, 2, 3))]
    assert f'<html lang="{lang}">' in make_folder(tmp_path, rows).write(None)


@pytest.mark.parametrize(
    ("variables", "lang"),
    [
        ({}, None),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "en"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "en_GB.UTF-8", "LC_ALL": "ko_KR.eucKR"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": ""}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, None),
        ({"LANG": "C.UTF-8"}, None),
        ({"LANG": "POSIX", "LC_CTYPE": "ko_KR.UTF-8", "LANGUAGE": "ko"}, None),
        ({"LANG": "de_DE.UTF-8"}, None),
        ({"LANG": "kok_IN"}, None),
    ],
)
def test_the_language_of_a_terminal(variables, lang):
    assert language_of_locale(variables) == lang


def test_every_reason_has_a_name_in_both_languages():
    rules = {rule.name for rule in (*ANSWER_RULES, *REWRITE_RULES)}
    for reason in (
        *rules,
        *OTHER_REASONS,
        "near_copy",
        "contaminated",
        "unavailable",
        "duplicate",
        "not_text",
        "no_user_turn",
    ):
        assert ENGLISH.reason(reason) != reason
        assert re.search("[가-힣]", KOREAN.reason(reason) + KOREAN.why(reason))
    assert set(ENGLISH.reasons) >= rules


def test_every_text_is_used():
    sources = [path for path in (*TEMPLATES.parent.glob("*.py"), *TEMPLATES.glob("*")) if path.is_file()]
    used = "".join(path.read_text(encoding="utf-8") for path in sources)
    said = set(re.findall(r"""["'](\w+)["']""", used))
    assert [key for key in (*ENGLISH.page, *ENGLISH.script) if key not in said] == []


def leaves(texts: dict, *above: str) -> dict[tuple[str, ...], str]:
    """Every text of a file by the keys that lead to it."""
    found = {}
    for key, value in texts.items():
        found |= leaves(value, *above, key) if isinstance(value, dict) else {(*above, key): value}
    return found


def test_both_languages_have_the_same_texts_with_the_same_places():
    english, korean = (leaves(json.loads((TEXTS / f"{lang}.json").read_text("utf-8"))) for lang in ("en", "ko"))
    assert list(english) == list(korean)
    for key, text in english.items():
        assert text
        assert korean[key]
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", korean[key])), key


def test_a_text_stands_in_one_place():
    assert not set(ENGLISH.page) & set(ENGLISH.script)


def test_the_script_finds_what_it_says():
    said = re.findall(r'say\("(\w+)"', (TEMPLATES / "page.js").read_text(encoding="utf-8"))
    assert said
    assert {*said, *OUTCOMES} <= set(ENGLISH.script)


# --- Hostile texts -----------------------------------------------------------------------------------


def full_of(where: Path, text: str) -> Folder:
    """A run in which every text that comes from outside is `text`."""
    where.mkdir()
    return make_folder(
        where,
        [evolved(0, text, seed=text, response=text, seed_response=text, labels=[text])],
        [rejected(1, text, instruction=text, reply=text, response=text)],
        [candidate(0, 0, text, "pf"), candidate(1, 0, text + "!", "pf", parent=text, feedback=text, selected=True)],
        data_path=text,
    )


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS.keys())
def test_no_text_becomes_markup(tmp_path, text):
    harmless = Reader(full_of(tmp_path / "harmless", "a text").write())
    page = full_of(tmp_path / "hostile", text).write()
    read = Reader(page)
    assert read.names() - {"ins", "del"} == harmless.names() - {"ins", "del"}
    assert not [key for _, attributes in read.tags for key in attributes if key.startswith("on")]
    assert len(re.findall("(?i)<script", page)) == len(re.findall("(?i)</script", page)) == 2
    assert "<!--" not in page
    assert text_of(read.rows[0]["seed"]) == text
    assert text_of(read.rows[0]["answer"]) == text


def test_templates_escape_all_values_and_fill_no_gap_in_silence():
    filled = environment(ENGLISH).from_string('<p title="{{ a }}">{{ b }}{{ c }}</p>')
    assert filled.render(a='"<', b="<b>{{ a }}", c=Markup("<i>")) == '<p title="&#34;&lt;">&lt;b&gt;{{ a }}<i></p>'
    with pytest.raises(UndefinedError, match="'c' is undefined"):
        filled.render(a="", b="")


def test_data_of_the_script_comes_back_equal():
    value = {"a": "".join(ATTACKS.values())}
    text = script_data(value)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == value


def test_a_lone_surrogate_does_not_break_the_page(tmp_path):
    folder = make_folder(tmp_path, ROWS)
    folder.result.write_text(folder.result.read_text().replace("answer 0", "\\ud800"))
    assert text_of(Reader(folder.write()).rows[0]["answer"]) == "?"


def test_long_texts_are_cut_and_say_so(tmp_path):
    text = "word " * 20_000
    folder = make_folder(tmp_path, [evolved(0, text + "more", seed=text)], [rejected(1, "lost", reply=text)])
    page = folder.write()
    row = Reader(page).rows[0]
    assert row["seed"] == [["=", text[:LONGEST]], ["…", 80_000]]
    assert len(page) < 200_000
    assert "Texts are cut after 20,000 characters." in page


# --- Large and small runs ----------------------------------------------------------------------------


def test_a_large_run_is_sampled_with_every_kind_in_it(tmp_path):
    rows = [evolved(n, f"Name river {n} now.", labels=["ok"] if n % 900 else ["unscored"]) for n in range(2_000)]
    lost = [rejected(2_000 + n, "lost") for n in range(900)] + [rejected(2_900, "refusal"), set_aside(2_901, "empty")]
    folder = make_folder(tmp_path, rows, lost)
    page = folder.write()
    shown = Reader(page).rows
    assert SHOWN <= len(shown) <= SHOWN + 6 * EACH
    assert {row["reason"] for row in shown} == {"", "lost", "refusal", "empty"}
    assert sum(row["outcome"] == "evolved" for row in shown) >= SHOWN // 2
    assert sum(row["labels"] == ["unscored"] for row in shown) == 3
    assert f"A sample of {len(shown):,} of 2,902 rows" in page
    assert [row["id"] for row in shown] == sorted(row["id"] for row in shown)


def test_a_run_whose_rows_are_in_partitions_has_the_same_page(tmp_path):
    kept = [evolved(number) for number in range(60)]
    lost = [rejected(number, "lost") for number in range(60, 80)]
    records = [StoredRow("evolved", row) for row in kept] + [StoredRow("eliminated", row) for row in lost]
    folder = make_folder(tmp_path, kept, lost, measured=True)
    whole = folder.write()
    folder.result.unlink()  # its rows are in partitions, elsewhere
    with RowStore(tmp_path / "rows") as rows:
        rows.put_many(enumerate(records))
        write_report(folder.path, folder.result, "en", rows)
        assert folder.report.read_text(encoding="utf-8") == whole


def test_a_sample_depends_on_ids_not_on_texts(tmp_path):
    def drawn(name: str, text: str) -> list[int]:
        (tmp_path / name).mkdir()
        folder = make_folder(tmp_path / name, [evolved(n, f"{text} {n}") for n in range(1_500)])
        return [row.id for row in survey(read_rows(folder.result, folder.path / "rejects.jsonl")).sample]

    assert drawn("a", "one") == drawn("b", "two")


def test_many_long_texts_keep_within_the_budget(tmp_path):
    rows = [evolved(n, "x" * 9_000, response="y" * 9_000) for n in range(500)]
    folder = make_folder(tmp_path, rows)
    page = folder.write()
    assert len(page) < BUDGET * 1.1
    assert "Texts are cut after 5,000 characters." in page
    assert len(Reader(page).rows) == 500


def test_generations_that_are_rows_of_their_own(tmp_path):
    rows = [
        evolved(0, "a b c", method_id="deepen"),
        evolved(0, "a b c", "Something else entirely, in breadth", method_id="breadth"),
        evolved(1, "k l m n", seed="k l m", generation=2, method_id="deepen"),
    ]
    rows[1]["stages"][1]["method_id"] = "breadth"
    folder = make_folder(
        tmp_path, rows, [rejected(1, "equal", instruction="k l m")], method="evol-instruct", generations=2
    )
    page = folder.write()
    shown = squeezed(Reader(page).shown)
    assert "Seeds in 2 4 rows: every generation counts" in shown
    assert "Generation 1 1 · 50.0% Generation 2 2 · 100.0%" in shown
    assert "Nothing was learned in this run" in shown
    assert "in breadth: a new task breadth 1" in shown
    assert [(row["id"], row["generation"]) for row in Reader(page).rows] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert Reader(page).rows[1]["stages"][1] == ["breadth", [["=", "Something else entirely, in breadth"]]]


def test_a_run_without_rows_or_learning(tmp_path):
    folder = make_folder(tmp_path)
    (folder.path / "rejects.jsonl").unlink()
    (folder.path / "methods.jsonl").unlink()
    shown = squeezed(Reader(folder.write()).shown)
    assert "This run has no rows." in shown
    assert "Nothing was learned" in shown
    assert "This run was not measured." in shown
    assert "No row was lost." in shown


def test_a_given_method_is_shown(tmp_path):
    folder = make_folder(tmp_path, ROWS)
    (folder.path / "best_method.txt").write_text("Do <it> well.\n")
    assert "Do &lt;it&gt; well." in folder.write()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("summary.json", None),
        ("summary.json", "{}"),
        ("config.json", None),
        ("config.json", "[1"),
        ("methods.jsonl", '{"step": 1}\n'),
        ("measures.json", "{"),
        ("rejects.jsonl", '{"id": 1}\n'),
        ("rejects.jsonl", "[\n"),
    ],
)
def test_what_is_missing_or_torn_is_one_line(tmp_path, name, text):
    folder = make_folder(tmp_path, ROWS, REJECTS)
    if text is None:
        (folder.path / name).unlink()
    else:
        (folder.path / name).write_text(text)
    with pytest.raises(DataError, match=name) as caught:
        folder.write()
    assert "\n" not in str(caught.value)
    assert not folder.report.exists()


def test_a_missing_result_is_one_line(tmp_path):
    folder = make_folder(tmp_path, ROWS)
    folder.result.unlink()
    with pytest.raises(DataError, match=r"out\.json"):
        folder.write()


# --- The command that repeats a run ------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        "--offline",
        "--data-path 'my seeds.jsonl' --save-path out/x.parquet --seed -3 --batch-size auto",
        "--explore 'Korean history' --explore '수학' --explore-breadth 4,3,2 --no-keep-generations --max-overlap 1",
        "--data-path a/b --method evol-instruct --generations 3 --keep-generations --breadth 0.25 --min-retention 0.9",
        "--data-path a/b --evol-llm-config \"model='my model' price_in=0.27 price_out=1\" temperature=none "
        "--optim-llm-config base_url=http://localhost:1/v1 api_key_env=KEY price_in=1 price_out=2 --max-cost 3",
        "'--data-path=-$(touch x)' --test-run 1",
        "--data-path a/b --decontaminate 'my b.jsonl:q' --decontaminate org/name",
    ],
)
def test_the_command_repeats_the_run(argv):
    config = parse_arguments(shlex.split(argv))
    command = repeat_command(config.model_dump(mode="json"))
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:2] == ["sh", "main.sh"]
    assert parse_arguments(words[2:]) == config


def test_the_command_leaves_out_what_changes_nothing():
    config = parse_arguments(["--offline", "--quiet", "--fresh", "--log-level", "error"])
    assert repeat_command(config.model_dump(mode="json")) == "sh main.sh --offline"


# --- Word by word ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "marked"),
    [
        ("a b c", "a b c", "a b c"),
        ("", "new words", "[+new words]"),
        ("Name a river.", "Name a long river.", "Name a [+long ]river."),
        ("강을 말해 줘.", "한국의 강을 말해 줘.", "[+한국의 ]강을 말해 줘."),
        ("keep red now", "keep blue now", "keep [-red ][+blue ]now"),
        ("one two three four", "five six seven", "five six seven"),
        ("Write. Then check.", "Write. Add one. Then check.", "Write. [+Add one. ]Then check."),
        ("쓴다. 하나 더 쓴다. 끝낸다.", "쓴다. 끝낸다.", "쓴다. [-하나 더 쓴다. ]끝낸다."),
        ("say x to me now ok", "tell x at me now ok", "[-say x to ][+tell x at ]me now ok"),
    ],
)
def test_words_are_marked(old, new, marked):
    pieces = word_pieces(old, new)
    assert "".join(text if kind == "=" else f"[{kind}{text}]" for kind, text in pieces) == marked


@pytest.mark.parametrize("old", [*ATTACKS.values(), "  two  blanks \n", "a b " * 9_000])
@pytest.mark.parametrize("new", [*ATTACKS.values(), "", "  two  more blanks \n", "b a " * 9_000])
def test_kept_and_added_words_are_the_new_text(old, new):
    pieces = word_pieces(old, new)
    assert "".join(text for kind, text in pieces if kind != "-") == new


@pytest.mark.parametrize(("lang", "title"), [("en", "Intention tags (InsTag)"), ("ko", "의도 태그(InsTag)")])
def test_tag_figures_stand_beside_the_measures(tmp_path, lang, title):
    tags = TagComparison.of([("a",), ("a", "b")], [("a", "b", "c"), ("d",)])
    folder = make_folder(tmp_path, [evolved(0, "Name two rivers and compare them.")], measured=True)
    assert title not in folder.write(lang)
    (folder.path / "tags.json").write_text(tags.model_dump_json())
    shown = folder.write(lang)
    assert title in shown
    assert "<td>1.50</td>" in shown  # complexity of the seeds: 3 tags over 2 instructions


def test_the_repeated_command_sends_the_same_fields():
    nested = """extra.chat_template_kwargs={"enable_thinking": false, "style": "it's"}"""
    words = ["model=m", nested, "extra.effort=high", "extra.k=5"]
    config = parse_arguments(["--data-path", "s.jsonl", "--evol-llm-config", *words])
    command = repeat_command(config.model_dump(mode="json")).replace("\\\n", " ")
    again = parse_arguments(shlex.split(command)[2:])
    assert again.evol_llm_config == config.evol_llm_config
    assert again.evol_llm_config.extra["chat_template_kwargs"] == {"enable_thinking": False, "style": "it's"}
