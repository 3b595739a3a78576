"""The tagger: what an instruction intends, as short tags (InsTag, arXiv 2308.07074), ten instructions at a time.

Auto Evol-Instruct measures with them how complex and how diverse a data set is: Code Alpaca has 4.06 tags per
instruction and 1.95 different tags per instruction, evolved by Evol-Instruct 4.55 and 2.37. `utils.text.measures.tags`
computes these figures. Figures of different tagging models are not comparable, nor are those of the paper with them.
"""

from collections.abc import Collection, Iterable, Sequence
from heapq import nsmallest
from itertools import chain
from typing import Annotated, Any

from pydantic import BeforeValidator

from analyzer.asking import ask_about
from analyzer.cases import joined, shown
from utils.concurrency import gather_or_cancel
from utils.config import RunConfig
from utils.files.row_store import RowStore
from utils.llm import LLM
from utils.llm.replies.cases import Case, read_cases
from utils.prompts import case_block, fill, user
from utils.rows.records import row_of, stored_rows
from utils.schema import Completion
from utils.text.measures.sample import rank
from utils.text.measures.tags import TagComparison, Tags, fold, merge_similar

GROUP = 10
MOST = 30  # tags that one instruction can bear; a reply with more has run away


async def tag(llm: LLM, instructions: Sequence[str]) -> list[Tags]:
    """Return the tags of each instruction, in the order given; None where no reply could be read.

    Similar tags are merged over all instructions of this call: give what is to be compared (seeds and evolved
    rows) in one call. Raise what `llm.complete` raises.
    """
    groups = (instructions[start : start + GROUP] for start in range(0, len(instructions), GROUP))
    tagged = await gather_or_cancel(*(_tag_group(llm, group) for group in groups))
    return merge_similar(list(chain.from_iterable(tagged)))


def sample_ids(ids: Iterable[int], size: int, seed: int) -> list[int]:
    """Draw at most `size` of `ids`, by chance that depends on `seed` and each id alone; return them in ascending order.

    So an id that is drawn from all is also drawn from any part of them that it is in: the samples of seeds and of
    evolved rows are mostly of the same rows, and their figures differ by what was done to these.
    """
    return sorted(nsmallest(size, ids, key=lambda row_id: (rank(f"{seed}:tag:{row_id}"), row_id)))


async def tag_samples(llm: LLM, rows: RowStore, config: RunConfig) -> str:
    """Tag samples of seeds and of evolved rows together; return their complexity and diversity, as JSON."""
    outcomes = {key: row.outcome for key, row in stored_rows(rows) if row.outcome != "set_aside"}
    # A seed counts once, however many generations of it are rows.
    of_seeds = (key for key in outcomes if key % max(1, config.generations) == 0)
    drawn = sample_ids(of_seeds, config.tag_size, config.seed)
    # As many rows as seeds: diversity falls as a sample grows.
    of_rows = (key for key, outcome in outcomes.items() if outcome == "evolved")
    evolved = sample_ids(of_rows, len(drawn), config.seed)
    seeds = [row_of(rows, key).record["seed_instruction"] for key in drawn]
    tagged = await tag(llm, [*seeds, *(row_of(rows, key).record["instruction"] for key in evolved)])
    return TagComparison.of(tagged[: len(drawn)], tagged[len(drawn) :]).model_dump_json(indent=2) + "\n"


async def _tag_group(llm: LLM, group: Sequence[str]) -> list[Tags]:
    cases = dict(enumerate(group, start=1))

    async def ask(case_ids: Collection[int], draw: int) -> Completion:
        blocks = joined(case_block(case_id, [("Instruction", shown(cases[case_id]))]) for case_id in case_ids)
        return await llm.complete("tag", user(fill("tag", cases=blocks)), draw)

    found, _ = await ask_about(cases, ask, read_tags)
    return [found.get(case_id) for case_id in cases]


# --- The reader ----------------------------------------------------------------------------------


def read_tags(reply: str, count: int) -> dict[int, tuple[str, ...]]:
    """Read the folded tags of the cases 1..count, by case id, each tag once; cases that cannot be read are left out."""
    return {case: item.tags for case, item in read_cases(reply, count, _TaggedCase).items()}


def _tags(value: Any) -> tuple[str, ...]:
    """Read tags from a list, from a text with commas, or with explanations (`{"tag": "…", "explanation": "…"}`)."""
    listed = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    texts = (entry.get("tag") if isinstance(entry, dict) else entry for entry in listed)
    folded = tuple(dict.fromkeys(tag for text in texts if isinstance(text, str) and (tag := fold(text))))
    if not 0 < len(folded) <= MOST:
        raise ValueError("no tags, or too many")
    return folded


class _TaggedCase(Case):
    tags: Annotated[tuple[str, ...], BeforeValidator(_tags)]
