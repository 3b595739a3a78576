"""The section on complexity and diversity: the seeds beside every generation, and distributions before and after."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from utils.outputs.report.charts import histogram
from utils.outputs.report.formats import number, percent
from utils.outputs.report.markup import Html, tag
from utils.outputs.report.parts import scrolled, section
from utils.outputs.report.texts import Words
from utils.text.measures.model import DataSetMeasures, Distribution, RunMeasures
from utils.text.measures.tags import TagComparison

PAIRS = 10  # verb-noun pairs listed
Show = Callable[[DataSetMeasures], str | tuple[str, str] | None]
"""What a cell says of a set: a figure, or a figure and a note in small print."""


def measured(measures: RunMeasures | None, words: Words, tags: TagComparison | None = None) -> Html:
    """Nothing but a line where the run was not measured."""
    title = words("measures")
    if measures is None or not measures.seeds.rows:
        return section("measures", title, tag("p", words("no_measures"), class_="quiet"))
    sets = [measures.seeds, *(each for each in measures.generations)]
    names = [words("seeds"), *(words("generation_n", n=n) for n in range(1, len(sets)))]
    return section(
        "measures",
        title,
        _table(sets, names, words),
        tag("p", words("measures_note"), class_="quiet"),
        *(_tagged(tags, words) if tags else ()),
        *_distributions(sets, names, words),
        *_pairs(sets, names, words),
    )


def _tagged(tags: TagComparison, words: Words) -> Iterator[Html]:
    """The paper's own figures, of samples of seeds and of evolved rows that were tagged together."""
    sets = (tags.seeds, tags.evolved)
    head = tag("tr", tag("th", words("tags")), *(tag("th", words(name), scope="col") for name in ("seeds", "evolved")))
    lines = [
        _line(words("t_complexity"), [number(each.complexity) for each in sets]),
        _line(words("t_diversity"), [number(each.diversity) for each in sets]),
        _line(words("t_tagged"), [number(each.tagged) for each in sets]),
    ]
    yield scrolled(tag("table", tag("thead", head), tag("tbody", *lines)))


def _groups(words: Words) -> dict[str, list[tuple[str, Show]]]:
    """The table's lines, by what they tell."""

    def spread(name: str) -> Show:
        return lambda each: _spread(getattr(each, name), words)

    return {
        "m_complexity": [
            ("m_characters", spread("characters")),
            ("m_tokens", spread("tokens")),
            ("m_parent", spread("parent_overlap")),
        ],
        "m_diversity": [
            ("m_nearest", lambda each: _spread(each.nearest_overlap and each.nearest_overlap.distribution, words)),
            ("m_distinct_1", lambda each: number(each.distinct_1)),
            ("m_distinct_2", lambda each: number(each.distinct_2)),
            ("m_pairs", lambda each: _unique_pairs(each, words)),
        ],
        "m_languages": [
            ("m_language_shares", lambda each: _shares(each.languages)),
            ("m_script_shares", lambda each: _shares(each.scripts)),
        ],
    }


def _spread(distribution: Distribution | None, words: Words) -> tuple[str, str] | None:
    if distribution is None:
        return None
    return number(distribution.mean), words("median", median=number(distribution.median))


def _unique_pairs(each: DataSetMeasures, words: Words) -> tuple[str, str] | None:
    found = each.verb_noun
    if found is None:
        return None
    return number(found.unique), words("m_of_rows", rows=number(found.rows))


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name}\u00a0{percent(share)}" for name, share in list(shares.items())[:4])


def _table(sets: Sequence[DataSetMeasures], names: Sequence[str], words: Words) -> Html:
    head = tag("tr", tag("th", words("measure"), scope="col"), *(tag("th", name, scope="col") for name in names))
    lines = [_line(words("m_rows"), [number(each.rows) for each in sets])]
    for group, entries in _groups(words).items():
        lines.append(tag("tr", tag("th", words(group), colspan=len(sets) + 1, scope="rowgroup"), class_="group"))
        lines += (_line(words(key), [show(each) for each in sets]) for key, show in entries)
    return scrolled(tag("table", tag("thead", head), tag("tbody", *lines)))


def _line(name: str, cells: Sequence[str | tuple[str, str] | None]) -> Html:
    return tag("tr", tag("th", name, scope="row"), *(tag("td", *_cell(cell)) for cell in cells))


def _cell(cell: str | tuple[str, str] | None) -> Iterator[str]:
    figure, note = cell if isinstance(cell, tuple) else (cell, None)
    yield figure or "–"
    if note:
        yield tag("small", note)


def _distributions(sets: Sequence[DataSetMeasures], names: Sequence[str], words: Words) -> Iterator[Html]:
    """Histograms of the seeds and of the last generation."""
    before, after = sets[0], sets[-1] if len(sets) > 1 else None

    def of(name: str) -> tuple[Distribution | None, Distribution | None]:
        return getattr(before, name), after and getattr(after, name)

    nearest = tuple(each and each.distribution for each in of("nearest_overlap"))
    pairs = {"m_tokens": of("tokens"), "m_parent": of("parent_overlap"), "m_nearest": nearest}
    figures = [histogram(*pair, words(key), words) for key, pair in pairs.items() if any(pair)]
    legend = [tag("li", tag("i", class_="before"), names[0])]
    if after:
        legend.append(tag("li", tag("i", class_="after"), names[-1]))
    yield from (tag("h3", words("distributions")), tag("ul", *legend, class_="legend"))
    yield tag("div", *figures, class_="histograms")


def _pairs(sets: Sequence[DataSetMeasures], names: Sequence[str], words: Words) -> Iterator[Html]:
    """The most frequent verb-noun pairs of the seeds and of the last generation, or why there are none."""
    shown = {names[place]: sets[place].verb_noun for place in sorted({0, len(sets) - 1})}
    if note := sets[0].verb_noun_note:
        yield tag("p", words("no_pairs", note=note), class_="quiet")
    if not any(shown.values()):
        return
    yield tag("h3", words("common_pairs"))
    lists = (
        tag("div", tag("h4", name), tag("ol", *(_pair(p.verb, p.noun, p.count) for p in found.most_common[:PAIRS])))
        for name, found in shown.items()
        if found
    )
    yield tag("div", *lists, class_="columns")


def _pair(verb: str, noun: str, count: int) -> Html:
    return tag("li", f"{verb} – {noun}", tag("small", number(count)))
