"""The analyzing and optimizing stages: name the most frequent faults, then guard the method against them."""

import json
import re
from collections import Counter
from itertools import pairwise
from random import Random

from utils.llm.offline.demands import ALL_DEMANDS, BY_KIND, kind_of_reason, kinds_in
from utils.llm.offline.judging import NOTES, added, faults
from utils.llm.offline.reading import Case, dice, read_analyze
from utils.schema import Request

OVERLOOKED = 0.15  # share of faults that an analysis does not see for itself
RECURRING = 3  # cases in which an added sentence counts as a pattern
SHOWN = 60  # characters of a recurring sentence that the feedback quotes

UNUSABLE = 0.03  # share of proposals that cannot be used
BOTH, ONE = 0.55, 0.85  # below BOTH two named kinds are guarded, below ONE a single one, else one not named
EXTRA_VARIETY = 0.3
DEFAULT_LIMIT = 4000

NO_FAULT = "No clear fault shows. Sharpen the directions and keep what works."
NOTE_OF_HEADING = "the result stands under no heading"
POLISH = (
    "Prefer one demanding change to several small ones.",
    "Let the plan name what an expert would have to think about.",
    "Read the result once more as the one who has to work on it.",
)

_LIMIT = re.compile(r"(\d[\d,]{0,9}) characters")
_STEP = re.compile(r"^Step \d+[:.]?[^\S\n]*", re.MULTILINE)


def analyze(request: Request) -> str:
    """The JSON that the analyzing prompt asks for: failed cases, and a feedback on the method."""
    prompt = request.messages[-1].content
    cases = read_analyze(prompt).cases
    rng = dice("analyze", request.draw, prompt)
    seen = {case.id: kinds for case in cases if (kinds := _kinds(case, rng))}
    counts = Counter(kind for kinds in seen.values() for kind in kinds)
    named = [kind for kind, _ in counts.most_common(rng.choice((2, 2, 3)))]
    complaints = [f"{BY_KIND[kind].complaint} (In {counts[kind]} of {len(cases)}.)" for kind in named] or [NO_FAULT]
    failed = [{"case_id": id_, "reason": "; ".join(map(_note, kinds))} for id_, kinds in seen.items()]
    reply = {"failed_cases": failed, "feedback": " ".join([*complaints, *_sameness(cases)])}
    return json.dumps(reply, ensure_ascii=False)


def optimize(request: Request) -> str:
    """The method of the first message, with one or two directions more, in the fence asked for."""
    analysis, feedback, order = (message.content for message in request.messages[-3:])
    method = read_analyze(analysis).method
    rng = dice("optimize", request.draw, method, feedback, order)
    if rng.random() < UNUSABLE:
        return rng.choice((f"```Optimized Method\n{method}\n```", f"Here is a better version.\n\n{method}"))
    found = _LIMIT.search(order)
    limit = int(found[1].replace(",", "")) if found else DEFAULT_LIMIT
    better = _improved(method, _directions(method, _feedback_text(feedback), rng), limit)
    return f"```Optimized Method\n{better}\n```"


def _kinds(case: Case, rng: Random) -> tuple[str, ...]:
    """The faults of one case: what was found before, and what the stages show."""
    given = [kind for reason in case.found if (kind := kind_of_reason(reason))]
    shown = [kind for before, after in pairwise(case.stages) for kind in faults(before, after)]
    return tuple(dict.fromkeys((*given, *(kind for kind in shown if rng.random() >= OVERLOOKED))))


def _note(kind: str) -> str:
    return f"{kind}: {NOTES.get(kind, NOTE_OF_HEADING)}"


def _sameness(cases: tuple[Case, ...]) -> list[str]:
    """A complaint about the sentence that was added in most cases, if it was in several."""
    counts = Counter(
        piece for case in cases if len(case.stages) > 1 for piece in added(case.stages[0], case.stages[-1])
    )
    phrase, count = counts.most_common(1)[0] if counts else ("", 0)
    if count < RECURRING:
        return []
    return [f'{BY_KIND["sameness"].complaint} "{phrase[:SHOWN]}" stands in {count} cases.']


def _feedback_text(reply: str) -> str:
    try:
        return str(json.loads(reply)["feedback"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return reply


def _directions(method: str, feedback: str, rng: Random) -> list[tuple[int, str]]:
    """What to add, each with the step that it goes to. Some draws do less, or the wrong thing."""
    guarded, named = kinds_in(method), _in_order(feedback)
    missing = [kind for kind in named if kind not in guarded]
    others = [demand.kind for demand in ALL_DEMANDS if demand.kind not in guarded and demand.kind not in named]
    rng.shuffle(others)
    roll = rng.random()
    if roll < BOTH:
        chosen = [*missing, *others][:2]
    elif roll < ONE:
        chosen = [rng.choice(missing)] if missing else others[:1]
    else:
        chosen = others[:1] or missing[:1]
    if rng.random() < EXTRA_VARIETY and "sameness" not in {*guarded, *chosen}:
        chosen.append("sameness")
    directions = [(BY_KIND[kind].step, rng.choice(BY_KIND[kind].directions)) for kind in chosen]
    polish = [text for text in POLISH if text not in method]
    return directions or [(1, rng.choice(polish))] * bool(polish)


def _in_order(feedback: str) -> list[str]:
    """The kinds that a feedback names, in the order in which it does."""
    lowered = feedback.lower()

    def first_mention(kind: str) -> int:
        return min(at for word in BY_KIND[kind].words if (at := lowered.find(word)) >= 0)

    return sorted(sorted(kinds_in(feedback)), key=first_mention)


def _improved(method: str, directions: list[tuple[int, str]], limit: int) -> str:
    """The method with the directions that fit within `limit` characters."""
    for step, direction in directions:
        longer = _with_direction(method, step, direction)
        method = longer if len(longer) <= limit else method
    return method


def _with_direction(method: str, step: int, direction: str) -> str:
    """The direction at the end of its step; in the last step at its beginning, as that ends with the result."""
    heads = list(_STEP.finditer(method))
    if not heads:
        return f"{method}\n{direction}"
    if step >= len(heads) - 1:
        at = heads[-1].end()
        return f"{method[:at]}{direction} {method[at:]}"
    at = heads[step + 1].start()
    return f"{method[:at].rstrip()} {direction}\n{method[at:]}"
