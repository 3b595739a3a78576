"""Unique pairs of a verb and its direct object, as in "write" and "letter": how varied the tasks are.

Self-Instruct and Explore-Instruct read the pair off a parse tree. Here a tagger of parts of speech and the order of
words stand in for it: English through HanTa, Korean through kiwipiepy, both of which bring their models with them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import takewhile

from utils.process.each import Each, in_silence
from utils.text.measures.model import VerbNoun, VerbNounPairs

HEAD = 400  # characters of an instruction in which its pair is looked for
SHOWN = 20  # pairs listed
EXTRAS = {"en": "HanTa", "ko": "kiwipiepy"}

Pair = tuple[str, str]
FirstPair = Callable[[str], Pair | None]
"""Finds the pair of a text: the verb and the noun, in the form a dictionary lists them under."""


@cache
def first_pair_of(language: str) -> FirstPair | None:
    """Return what finds the pair of a text in `language` (ko or en); None where its package is not installed."""
    try:
        return _ENGLISH_OR_KOREAN[language]()
    except ImportError:
        return None


def verb_noun_pairs(
    texts: Sequence[tuple[str, str]],
    finder: Callable[[str], FirstPair | None] = first_pair_of,
    each: Each = in_silence,
) -> tuple[VerbNounPairs | None, str]:
    """Count the pairs of (language, text) entries, at most one of each; or return None and a note of what is missing.

    Other languages than Korean and English are passed over. Where the package of one of them is missing there is no
    figure at all: a part of the rows would be mistaken for a lack of variety.
    """
    texts = [(language, text) for language, text in texts if language in EXTRAS]
    if not texts:
        return None, "no Korean or English rows"
    finders = {language: finder(language) for language in sorted({language for language, _ in texts})}
    if missing := [EXTRAS[language] for language, found in finders.items() if found is None]:
        return None, f"needs {' and '.join(missing)}: pip install -r requirements-measures.txt"
    shown = each("measuring: verbs and nouns", texts, len(texts))
    return _counted((find(text) for language, text in shown if (find := finders[language])), len(texts)), ""


def _counted(pairs: Iterable[Pair | None], rows: int) -> VerbNounPairs:
    counts = Counter(pair for pair in pairs if pair)
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    return VerbNounPairs(
        unique=len(counts),
        found=counts.total(),
        rows=rows,
        most_common=tuple(VerbNoun(verb=verb, noun=noun, count=count) for (verb, noun), count in common),
    )


# --- English -------------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"[.!?:;\n]")
_WORD = re.compile(r"[^\W\d_]{1,40}(?:['’-][^\W\d_]{1,40}){0,3}|\d{1,20}|,")

Tagged = tuple[str, str, str]  # word, lemma, part of speech (the C5 tags of the British National Corpus)

# What may stand between a verb and the head of its object: articles, adjectives, numbers, "me" in "give me a list".
_BEFORE_NOUN = ("AT0", "AJ", "CRD", "ORD", "DT0", "DPS", "AV0", "PNP", "VVN", "VVG", "POS")
_NOUN = ("NN", "NP0", "UNC")
_VERBS = ("VVB", "VVD", "VVI", "VVZ")  # not "given a set of numbers", "using the following words"
_DETERMINER = ("AT0", "CRD", "DT0", "DPS")


def english_pair(sentence: Sequence[Tagged]) -> Pair | None:
    """Return the first finite verb or infinitive of a sentence with a direct object, and that object's head noun."""
    for position, (_, verb, tag) in enumerate(sentence):
        is_verb = (tag in _VERBS and verb != "please") or (position == 0 and _is_imperative(sentence))
        if is_verb and (noun := _object(sentence[position + 1 :])):
            return verb.lower(), noun.lower()
    return None


def _is_imperative(sentence: Sequence[Tagged]) -> bool:
    """Tell whether a first word that was taken for a noun must be a verb: "Name three rivers", "Outline a plan"."""
    return len(sentence) > 1 and sentence[0][2].startswith(_NOUN) and sentence[1][2].startswith(_DETERMINER)


def _object(words: Sequence[Tagged]) -> str | None:
    """Return the last of the first run of nouns; None if anything but its attributes stands before it."""
    attributes = len(list(takewhile(lambda word: word[2].startswith(_BEFORE_NOUN), words)))
    nouns = list(takewhile(lambda word: word[2].startswith(_NOUN), words[attributes:]))
    return nouns[-1][1] if nouns else None


def _english() -> FirstPair:
    from HanTa.HanoverTagger import HanoverTagger

    tagger = HanoverTagger("morphmodel_en.pgz")

    def first_pair(text: str) -> Pair | None:
        sentences = (_WORD.findall(sentence) for sentence in _SENTENCE_END.split(text[:HEAD]))
        pairs = (english_pair(tagger.tag_sent(words)) for words in sentences if len(words) > 1)
        return next((pair for pair in pairs if pair), None)

    return first_pair


# --- Korean --------------------------------------------------------------------------------------

Morpheme = tuple[str, str, int]  # form, part of speech (of the Sejong corpus), number of the sentence

# They stand for particles: 위하다 in "아이를 위한 게임" asks for nothing.
_PARTICLE_LIKE = ("위하다", "대하다", "관하다", "의하다", "통하다", "따르다", "비롯하다")
_KOREAN_NOUN = ("NN", "SL", "XR")


def korean_pair(morphemes: Sequence[Morpheme]) -> Pair | None:
    """Return the last verb with an object, and this, of the first sentence with one: verbs come last in Korean."""
    pair, noun = None, None
    for position, (form, tag, sentence) in enumerate(morphemes):
        if pair and sentence != morphemes[position - 1][2]:
            return pair
        if tag == "JKO":
            noun = _noun_before(morphemes, position)
        elif tag.startswith("VV") or tag == "XSV":
            verb = form + "다" if tag != "XSV" else morphemes[position - 1][0] + form + "다"
            # "설명을 하다" has no other object than its own noun.
            if noun and verb != "하다" and verb not in _PARTICLE_LIKE:
                pair = verb, noun
            noun = None
    return pair


def _noun_before(morphemes: Sequence[Morpheme], position: int) -> str | None:
    """Return the noun that the object particle at `position` marks, without suffixes such as 들; None for none."""
    for form, tag, _ in reversed(morphemes[max(0, position - 3) : position]):
        if tag.startswith(_KOREAN_NOUN):
            return form
        if tag != "XSN":
            break
    return None


def _korean() -> FirstPair:
    from kiwipiepy import Kiwi

    # Without its dictionary of names of several words: a third less memory, and no name is a verb.
    kiwi = Kiwi(num_workers=1, load_multi_dict=False)

    def first_pair(text: str) -> Pair | None:
        clean = text[:HEAD].encode("utf-8", "replace").decode()  # Kiwi cannot read half a surrogate pair
        return korean_pair([(token.form, str(token.tag), token.sent_position) for token in kiwi.tokenize(clean)])

    return first_pair


_ENGLISH_OR_KOREAN = {"en": _english, "ko": _korean}
