"""The report in a real browser: what a reader sees and clicks, and that nothing is loaded, run or broken.

Needs Chromium (`apt-get install chromium fonts-nanum`) and playwright (requirements-dev.txt), which drives it.
"""

import json
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.report_folder import ATTACKS, LEARNED, candidate, evolved, make_folder, rejected, set_aside

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: requirements-dev.txt")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium fonts-nanum")

LONG = "word " * 30_000
ROWS = [
    *(evolved(n, f"Name river {n} and its length.", labels=["ok"]) for n in range(40)),
    evolved(40, "Name a lake and its depth.", "Name a lake and its depth in metres.", seed="Name a lake."),
    evolved(41, f"{LONG} end", seed=LONG, labels=["stagnant"]),
    evolved(42, *ATTACKS.values(), seed=ATTACKS["image"], response=ATTACKS["script end"]),
]
REJECTS = [
    rejected(43, "lost", instruction="Name it."),
    rejected(44, "unreadable", reply=ATTACKS["network"]),
    set_aside(45, "duplicate"),
]
HISTORY = (*LEARNED, candidate(2, 0, ATTACKS["script end"], "pf", parent=LEARNED[1].score.method.text))


class Window:
    """A page of the report, and all that went wrong or out while it was looked at."""

    def __init__(self, page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.stopped: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.stopped.append(request.url))

    def rows(self):
        return self.page.locator("#rows > details")

    def found(self) -> str:
        return self.page.locator("#found").inner_text()

    def search(self, text: str, expected: str) -> None:
        self.page.fill("#search", text)
        playwright.expect(self.page.locator("#found")).to_have_text(expected)

    def open(self, position: int):
        row = self.rows().nth(position)
        row.locator("summary").click()
        row.locator(".body").wait_for()
        return row

    def colour(self, selector: str, name: str) -> tuple[int, ...]:
        script = "([where, name]) => getComputedStyle(document.querySelector(where))[name]"
        return tuple(map(int, self.page.evaluate(script, [selector, name]).removeprefix("rgb(")[:-1].split(",")))

    def overflows(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, str]:
    """Addresses of the same run's report in both languages."""
    addresses = {}
    for lang in ("en", "ko"):
        folder = make_folder(tmp_path_factory.mktemp(lang), ROWS, REJECTS, HISTORY, measured=True)
        folder.write(lang)
        addresses[lang] = folder.report.as_uri()
    return addresses


@pytest.fixture
def look(browser, reports) -> Iterator[Callable[..., Window]]:
    """Opens the report; in the end no window may have met an error or asked for anything but the page."""
    windows = []

    def opened(lang: str = "en", width: int = 1200, **options) -> Window:
        window = Window(browser.new_page(viewport={"width": width, "height": 900}, **options))
        windows.append(window)
        window.page.goto(reports[lang])
        return window

    yield opened
    for window in windows:
        window.page.close()
        assert window.errors == []
        assert window.requests == [window.page.url]


def test_a_reader_sees_the_numbers_the_chart_and_the_first_rows(look):
    window = look()
    assert window.page.title() == "Run report · out.json"
    assert "43" in window.page.locator(".tiles .strong .value").inner_text()
    chart = window.page.locator("svg.failure")
    assert chart.bounding_box()["width"] > 700
    assert chart.locator("circle").count() == len(HISTORY)
    assert window.rows().count() == 25
    assert window.found() == "rows found: 46"


def test_more_rows_come_until_all_are_there(look):
    window = look()
    more = window.page.locator("#more")
    assert more.inner_text() == "Show 21 more"
    more.click()
    assert window.rows().count() == 46
    assert not more.is_visible()


def test_search_finds_words_in_any_text(look):
    window = look()
    window.search("LAKE metres", "rows found: 1")
    assert "#40" in window.rows().inner_text()
    window.search("nothing like this", "No row fits: change search or filters.")
    assert window.rows().count() == 0
    window.page.click("text=Reset")
    playwright.expect(window.page.locator("#found")).to_have_text("rows found: 46")


def test_a_click_right_after_a_search_opens_the_row(look):
    window = look()
    window.search("lake", "rows found: 1")
    row = window.open(0)
    assert row.locator("ins").all_inner_texts() == ["and its depth", "in metres"]
    assert row.locator("h4").all_inner_texts() == ["Seed", "Stage 1 · m1", "Stage 2 · m1", "Answer"]


@pytest.mark.parametrize(
    ("select", "value", "ids"),
    [
        ("outcome", "set_aside", ["#45"]),
        ("reason", "unreadable", ["#44"]),
        ("label", "stagnant", ["#41"]),
        ("generation", "2", ["#40"]),
    ],
)
def test_filters_leave_what_they_name(look, select, value, ids):
    window = look()
    window.page.select_option(f"#{select}", value)
    shown = [text.split()[0] for text in window.page.locator(".row .id").all_inner_texts()]
    assert shown == ids


def test_a_reason_leads_to_its_rows(look):
    window = look()
    window.page.click("button[data-reason=lost]")
    playwright.expect(window.page.locator("#found")).to_have_text("rows found: 1")
    assert window.page.locator("#reason").input_value() == "lost"
    row = window.open(0)
    assert "Information lost. A question" in row.inner_text()
    assert "attempts: 2" in row.inner_text()


def test_keys_alone_open_a_row(look):
    window = look()
    window.rows().first.locator("summary").focus()
    window.page.keyboard.press("Enter")
    window.rows().first.locator(".body").wait_for()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert window.page.evaluate(outline) != "none"


def test_a_long_text_is_folded_and_unfolds(look):
    window = look()
    window.page.select_option("#label", "stagnant")
    seed = window.open(0).locator(".text").first
    assert len(seed.inner_text()) < 2_000
    window.page.click("text=Show all 20,000 characters >> nth=0")
    assert len(seed.inner_text()) > 19_000
    assert "130,000 more characters are in the file" in seed.inner_text()
    assert not window.overflows()


def test_hostile_texts_are_seen_as_they_are_and_do_nothing(look):
    window = look()
    window.search("taken", "rows found: 1")
    texts = window.open(0).locator(".text")
    for position, text in enumerate((ATTACKS["image"], *ATTACKS.values(), ATTACKS["script end"])):
        assert window.page.evaluate(NEW_TEXT, position) == text
    assert texts.locator("img, script, b, link, iframe").count() == 0
    assert window.page.title() == "Run report · out.json"
    assert window.page.locator("script").count() == 2


# What a block shows, without the words that were removed.
NEW_TEXT = """position => {
  const text = document.querySelectorAll(".row .text")[position].cloneNode(true);
  text.querySelectorAll("del").forEach((removed) => removed.remove());
  return text.textContent;
}"""


def test_markup_that_got_in_would_not_run(look):
    window = look()
    window.page.evaluate(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(ATTACKS['image'])})")
    window.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: \"document.title = 'taken'\"}))"
    )
    assert window.page.title() == "Run report · out.json"
    assert window.errors
    assert all("Content Security Policy" in error for error in window.errors)
    assert window.stopped == window.requests[1:]
    window.errors.clear()
    del window.requests[1:]


def test_what_changed_in_a_method_opens(look):
    window = look()
    method = window.page.locator("details.method", has_text="Step 1, draw 1")
    assert not method.locator(".body").is_visible()
    method.locator("summary").click()
    assert "Less." in method.inner_text()
    assert window.page.locator("details.method[open]", has_text="used in the final run").count() == 1


def test_korean(look):
    window = look("ko")
    assert window.page.locator("h2").first.inner_text() == "한눈에 보기"
    window.search("호수", "맞는 행이 없습니다. 검색어나 필터를 바꿔 보세요.")
    window.search("lake", "1행")
    assert window.open(0).locator("h4").all_inner_texts() == ["시드", "1차 진화 · m1", "2차 진화 · m1", "답변"]


def test_dark_mode_turns_the_page_dark_and_stays_legible(look):
    for scheme in ("light", "dark"):
        window = look(color_scheme=scheme)
        page, text = window.colour("body", "backgroundColor"), window.colour("body", "color")
        quiet = window.colour(".quiet", "color")
        assert (sum(page) < 200) == (scheme == "dark")
        assert contrast(page, text) > 7
        assert contrast(page, quiet) > 4.5
        window.open(0)
        sunken = window.colour(".row .text", "backgroundColor")
        assert contrast(sunken, window.colour("del", "color")) > 4.5
        assert contrast(window.colour("ins", "backgroundColor"), window.colour("ins", "color")) > 4.5


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The contrast ratio of WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: tuple[int, ...]) -> float:
    parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_narrow_window_needs_no_scrolling_sideways(look, lang):
    window = look(lang, width=360)
    window.open(0)
    assert not window.overflows()
    assert window.page.locator("svg.failure").bounding_box()["width"] > 280


def test_the_command_is_copied(look):
    window = look()
    window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window.page.click("#copy")
    playwright.expect(window.page.locator("#copy")).to_have_text("Copied")
    copied = window.page.evaluate("navigator.clipboard.readText()")
    assert copied == "sh main.sh --data-path seeds.jsonl --save-path out.json"


def test_print_leaves_out_what_cannot_be_used_on_paper(look):
    window = look(color_scheme="dark")
    window.page.emulate_media(media="print", color_scheme="dark")
    assert not window.page.locator("nav").is_visible()
    assert not window.page.locator("#filters").is_visible()
    assert window.page.locator("button[data-reason=lost]").is_visible()
    assert window.colour("body", "backgroundColor") == (255, 255, 255)
