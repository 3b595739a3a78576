"""What may be shown: no character that acts on a terminal, no second line, no key."""

import json
import re

import pytest

from utils.redaction import holds_key, masked, names_secret, one_line, printable, printable_json, value_shown
from utils.urls import holds_password, holds_secret_field

ACTING = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
ALL = "".join(map(chr, [*range(0xA0), 0x61C, *range(0x2000, 0x2070), *range(0xFFF0, 0xFFFE), 0xDFFF, 0xD800]))
PLAIN = 'Plain text, "한국어 두 줄", emoji 👩‍👩‍👧‍👦, é, a\u00a0b'


@pytest.mark.parametrize(
    "text", [ALL, "\x1b[2J\x1b]0;title\x07", "a\r\nb\x85c\u2028d", "\u202etxt.exe\u202c", "\x9b31m"]
)
def test_nothing_acts_on_a_terminal(text):
    assert not ACTING.search(printable(text))
    assert not ACTING.search(one_line(text))
    assert "\n" not in one_line(text)
    shown = printable_json(json.dumps({"message": text}, ensure_ascii=False))
    assert not ACTING.search(shown)
    assert "\n" not in shown
    assert json.loads(shown) == {"message": text}


def test_what_acts_is_spelled_out_and_the_rest_stays():
    assert one_line("a\x1b[31m\u202eb\x00") == r"a\x1b[31m\u202eb\x00"
    assert one_line("two\r\n lines") == "two  lines"
    assert printable(f"{PLAIN}\n  indented") == f"{PLAIN}\n  indented"
    assert one_line(PLAIN) == PLAIN


KEYS = (
    "sk-known-0123456789",
    "hf_abcdefghijklmnopqrst",
    "xai-0123456789",
    "AKIA0123456789ABCDEF",
    "ghp_0123456789abcdefgh",
)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_replaced_by_stars(key):
    for text in (
        f"wrong key: {key}",
        f"Bearer {key}",
        f"https://me:{key}@x.org",
        f"https://x.org/v1?a=b&api_key={key}",
    ):
        assert key not in one_line(text)
        assert key not in printable(text)
        assert "***" in one_line(text)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_recognized_wherever_it_is_typed(key):
    for word in (key, f"model={key}", f"--api-key={key}", f"a,{key}", f"model=x api_key={key} seed=1"):
        assert holds_key(word)
    assert holds_secret_field(f"https://x.org/v1/{key}/chat")


@pytest.mark.parametrize(
    "word", ["sk-learn/data.jsonl", "data/sk-learning", "org/sk-learning", "model=task-1234567", "--risk-averse", PLAIN]
)
def test_other_words_are_no_keys(word):
    assert not holds_key(word)


@pytest.mark.parametrize("field", ["key", "api_key", "apiKey", "access-token", "sig", "client_secret", "password"])
def test_an_address_with_a_field_for_a_key(field):
    assert holds_secret_field(f"https://x.org/v1?x=1&{field}=abc")
    assert holds_secret_field(f"https://x.org/v1#{field}=abc")
    assert names_secret(field)


@pytest.mark.parametrize(
    "url", ["https://x.org/v1?api-version=2026-01-01", "https://x.org/key/v1", "http://[::1]:1/v1"]
)
def test_other_addresses(url):
    assert not holds_secret_field(url)


def test_a_wrong_value_is_repeated_unless_it_may_be_a_key():
    assert value_shown("seven") == "'seven'"
    assert "0123456789abcdef" not in value_shown("0123456789abcdef")
    assert len(value_shown("x" * 1000)) < 100


@pytest.mark.parametrize("url", ["https://user:secretpw@host/v1", "s3://u:secretpw@[bad/x"])
def test_a_password_in_an_address_is_masked_and_known_as_one(url):
    assert "secretpw" not in masked(f"cannot read {url} now")
    assert holds_password(url)
