"""Languages, kinds of tasks and sentences, as far as simple rules can tell them.

Everything here is linear in the text and looks at its beginning alone where that is enough.
"""

import re
from typing import Literal

Language = Literal["ko", "en", "ja", "zh"]
HEAD = 400  # characters that decide on language and kind

_HANGUL = re.compile(r"[가-힣ㄱ-ㆎ]")
_KANA = re.compile(r"[ぁ-ヿ]")
_HAN = re.compile(r"[一-鿿]")
_LATIN = re.compile(r"[A-Za-z]")
_SENTENCE_END = re.compile(r"(?<=[.?!。？！\n])")
_WORD = re.compile(r"\w+")
_TOPIC = re.compile(
    r"(?:what|who) (?:is|are|was|were) (?P<en>(?!you|it |this|that|he |she |they)[\w'-]{1,20}(?: [\w'-]{1,20}){0,3})\?"
    r"|(?P<ko>(?!그 |이 |저 |위 )[^\s,.?!'\"]{2,12}?(?: [^\s,.?!'\"]{1,12}?)?)(?:이란|란|은|는) "
    r"(?:무엇|어떤|왜|누구|어떻게|어디|언제)",
    re.IGNORECASE,
)

_CLOSED_SIGNS = frozenset("LMNRlmnr013678")  # their Korean names end with a consonant

# "The meaning of X", "X and Y" and "in X" have no closest relative to compare them with.
_NO_TOPIC = (
    "이유",
    "의미",
    "뜻",
    "방법",
    "원리",
    "것",
    "차이",
    "차이점",
    "방식",
    "에",
    "에서",
    "meaning",
    "difference",
)
_NO_TOPIC_INSIDE = ("의 ", "과 ", "와 ", "에서 ", "에 ", "재 ", " and ", " of ")

# The first kind with a word in the beginning of the instruction wins; `knowledge` is what remains.
KIND_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("translation", ("translat", "into english", "into korean", "번역", "영작", "영어로", "한국어로 옮")),
    (
        "code",
        ("```", "python", "javascript", " sql", "html", " code", "algorithm", "regular expression", "def ", "c++",
         "a program", "a function", " script", "f-string",
         "코드", "함수를", "알고리즘", "파이썬", "자바스크립트", "쿼리", "정규식", "정규 표현식", "스크립트"),
    ),
    (
        "data",
        (" | ", "|-", "the table", "as a table", "extract", "classif", "categor", "json", "csv", "summar", "identify",
         "find the", "the sentence", "the given text", "can we conclude", "taller than", "older than",
         "표에서", "다음 표", "표로", "추출", "분류", "요약", "다음 중", "고르시오"),
    ),
    (
        "maths",
        ("calculate", "compute", "solve", "equation", "probability", "how many", "how much", "percent", "average",
         "\\frac", "convert", "prove ", "integral", "remainder", "divisible",
         "계산", "방정식", "확률", "평균", "몇 ", "얼마", "넓이", "부피", "적분", "미분", "나머지", "경우의 수", "증명",
         "구하시오", "구하면", "구하라", "구하세요"),
    ),
    (
        "planning",
        (" plan", "schedule", "itinerary", "syllabus", "strategy", "agenda", "recipe",
         "계획", "일정", "전략", "식단", "로드맵", "레시피", "조리법"),
    ),
    (
        "writing",
        ("write", "compose", "story", "poem", "essay", "letter", "email", " joke", "speech", "slogan", "title", "제목",
         "쓰시오", "써 주", "써줘", "작성", "편지", "이야기를", "에세이", "소설", "연설", "글을", "문자를", "인사말"),
    ),
    (
        "list",
        (" list", "suggest", "brainstorm", "recommend", "examples of", "name three", "name five", "give me five",
         "나열", "목록", "추천", "아이디어", "가지를", "가지만"),
    ),
)  # fmt: skip


def language(text: str) -> Language:
    """The language of the instruction proper: its first line counts, as inputs and code come behind."""
    line = text.lstrip()[:HEAD].partition("\n")[0]
    hangul, latin = len(_HANGUL.findall(line)), len(_LATIN.findall(line))
    # Korean ends its sentences with the verb, however many foreign terms stand before it.
    ends_korean = bool(_HANGUL.search(line.rstrip()[-4:]))
    if hangul and 2 * hangul + 10 * ends_korean > latin:
        return "ko"
    if _KANA.search(line):
        return "ja"
    return "zh" if len(_HAN.findall(line)) > latin else "en"


def kind(text: str) -> str:
    """What sort of task an instruction is: a key of `phrases.CONSTRAINTS`."""
    head = f" {text[:HEAD]}".lower()
    return next((name for name, words in KIND_WORDS if any(word in head for word in words)), "knowledge")


def topic(text: str) -> str | None:
    """The thing that a plain question asks about ("What is X?", "X는 무엇인가요?"), else None."""
    found = _TOPIC.match(text[:HEAD].lstrip())
    about = found["en"] or found["ko"] if found else ""
    unfit = not about or about.endswith(_NO_TOPIC) or any(part in about for part in _NO_TOPIC_INSIDE)
    return None if unfit else about


def particle(word: str, closed: str, open_: str) -> str:
    """The Korean particle that follows `word`: `closed` after a final consonant, `open_` after a vowel."""
    last = next((char for char in reversed(word) if char.isalnum()), "가")
    code = ord(last) - ord("가")
    return closed if last in _CLOSED_SIGNS or (0 <= code < 11172 and code % 28) else open_


def korean_ending(text: str) -> str:
    """How a demand to the answerer ends, in the register of the instruction's first or last line."""
    lines = (text.partition("\n")[0], text)
    polite = any(line.rstrip(' .?!\n")').endswith(("요", "까", "줘", "니다")) for line in lines)
    return "해 주세요" if polite else "하시오"


def sentences(text: str) -> list[str]:
    """The text cut behind every sentence end and newline; joined, the pieces are the text again."""
    return _SENTENCE_END.split(text)


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def snippet(text: str, size: int = 40) -> str:
    """The beginning of the first line, to refer to the instruction."""
    line = text.lstrip()[: 4 * size].partition("\n")[0]
    return line if len(line) <= size else f"{line[:size].rpartition(' ')[0] or line[:size]} …"
