"""The review of an account on paper: the fifteen answers as text, 专家意见表 with 答复表 as workbook and document.

The closure sheet and the main table with every value computed again stand in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gep import closing, filling, panel, questions, recompute, words
from gep.closing import Row
from gep.declaration import file_label
from gep.filling import Cell, Column, Table
from gep.ledger import decimal_text, short, yuan
from gep.panel import Case, named
from gep.questions import Answer, Before
from gep.words import Lang

_FEW: Final = {"answer": 9, "evidence": 4, "red": 5, "ask": 3}  # sentences shown of an answer; the JSON has all
_SPARE: Final = 3  # empty rows for opinions on what no question asks
_RECOMPUTED: Final = 1000  # rows of the main table in a document


@dataclass(frozen=True)
class Review:
    """A case with its answers, its closure sheet and everything recomputed."""

    case: Case
    answers: tuple[Answer, ...]
    closure: tuple[Row, ...]
    checks: tuple[recompute.Check, ...]

    @property
    def red(self) -> int:
        """How many questions carry a red flag."""
        return sum(answer.state == "red" for answer in self.answers)


def of_ledger(asked: panel.Asked) -> Review:
    """The review of one run of a ledger; problems as `panel.opened`."""
    case = panel.opened(asked)
    closure, checks = tuple(closing.sheet(case)), tuple(recompute.checks(case))
    return Review(case, tuple(questions.answers(Before(case, closure, checks))), closure, checks)


# ---------------------------------------------------------------- text and JSON


def text(review: Review, lang: Lang) -> str:
    """It as a person reads it on a terminal."""
    blocks = [_heading(review, lang), *(_block(answer, lang) for answer in review.answers)]
    rows = [
        [words.say(f"closing-{name}", lang) for name in _CLOSING],
        *(_texts(_closing(row, lang)) for row in closing.page(review.closure)),
    ]
    blocks.append(f"{words.say('closing-title', lang)}\n{words.columns(rows, (0, 1, 2, 3, 8, 9), '  ')}")
    return "\n\n".join(blocks)


def _heading(review: Review, lang: Lang) -> str:
    case = review.case
    years = words.listed(case.years, lang)
    facts = {"title": case.run.title, "run": short(case.run.id), "profile": case.run.profile, "years": years}
    states = [sum(answer.state == state for answer in review.answers) for state in ("red", "open", "fine")]
    said = words.say("opinion-counts", lang, red=states[0], open=states[1], fine=states[2])
    return f"{words.say('opinion-head', lang, **facts)}\n{said}"


def _block(answer: Answer, lang: Lang) -> str:
    """One answer: the question, what is said, evidence, flags, and what only the bureau knows."""
    lines = [f"{answer.number}. {_question(answer, lang)}  [{_state(answer, lang)}]"]
    lines += [f"   {one.text(lang)}" for one in answer.of("answer")]
    for kind, mark in (("evidence", "·"), ("red", "⚑"), ("ask", "?")):
        lines += [f"   {mark} {line}" for line in _few(answer, kind, lang)]
    return "\n".join(lines)


def _question(answer: Answer, lang: Lang) -> str:
    return words.say(f"panel-question-{answer.number}", lang)


def _state(answer: Answer, lang: Lang) -> str:
    return words.say(f"opinion-{answer.state}", lang)


def _few(answer: Answer, kind: Any, lang: Lang) -> list[str]:
    """The first sentences of a kind, and how many more there are."""
    lines = [one.text(lang) for one in answer.of(kind)]
    more = [words.say("opinion-more", lang, count=len(lines) - _FEW[kind])] if len(lines) > _FEW[kind] else []
    return lines[: _FEW[kind]] + more


def as_dict(review: Review, lang: Lang) -> dict[str, Any]:
    """It for machines, with every sentence; amounts in yuan as text."""
    case = review.case
    return {
        "run": case.run.id,
        "profile": case.run.profile,
        "years": list(case.years),
        "red": review.red,
        "questions": [_answer_dict(answer, lang) for answer in review.answers],
        "closure": [_row_dict(row) for row in review.closure],
        "recomputed": {
            "checked": {kind: sum(c.kind == kind for c in review.checks) for kind in ("line", "item", "sum")},
            "wrong": [_check_dict(check) for check in review.checks if not check.holds],
        },
    }


def _answer_dict(answer: Answer, lang: Lang) -> dict[str, Any]:
    kinds = {"answer": "answer", "evidence": "evidence", "flags": "red", "open": "ask"}
    said: dict[str, Any] = {name: [_said_dict(s, lang) for s in answer.of(kind)] for name, kind in kinds.items()}  # type: ignore[arg-type]
    return {"number": answer.number, "question": _question(answer, lang), "state": answer.state, **said}


def _said_dict(said: panel.Said, lang: Lang) -> dict[str, str]:
    return {"code": said.key, "text": said.text(lang)}


def _row_dict(row: Row) -> dict[str, Any]:
    names = ("topic", "year", "zone", "unit", "accounted", "published", "published_year", "source", "verdict", "ratio")
    return {name: getattr(row, name) for name in names} | {"what": dict(row.what), "name": dict(row.name)}


def _check_dict(check: recompute.Check) -> dict[str, Any]:
    amounts = {"shown_yuan": str(yuan(check.shown)), "again_yuan": str(yuan(check.again))}
    return {"kind": check.kind, "year": check.year, "what": check.what, **amounts}


# ---------------------------------------------------------------- tables

_CLOSING: Final = (
    "topic", "year", "zone", "what", "accounted", "published", "unit", "apart", "source", "verdict",
)  # fmt: skip
_CLOSING_WIDTHS: Final = (14, 8, 16, 26, 18, 18, 8, 12, 34, 16)


def _closing(row: Row, lang: Lang) -> list[Cell]:
    """A row of the closure sheet: 缺 where nothing was published."""
    none = words.say("closing-none", lang)
    amounts = [none if one is None else one for one in (row.accounted, row.published)]
    apart = row.apart if row.topic in ("area", "water", "forest") else row.share
    source = " ".join(part for part in (row.published_year, row.source) if part)
    verdict = "zones-red" if row.verdict == "red" and not row.zone else row.verdict
    topic, said = words.say(f"closing-{row.topic}", lang), words.say(f"closing-{verdict}", lang)
    return [topic, row.year, row.name[lang], row.what[lang], *amounts, row.unit, apart, source or "–", said]


def _texts(cells: Sequence[Cell]) -> list[str]:
    """Cells as text: decimals with all of their digits, floats with two places."""
    return [_text(cell) for cell in cells]


def _text(cell: Cell) -> str:
    if isinstance(cell, Decimal):
        return f"{cell:,f}"
    return f"{cell:,.2f}" if isinstance(cell, float) else str("" if cell is None else cell)


_MAIN: Final = (
    "year", "class", "service", "item", "quantity", "unit", "price", "price_unit", "value", "again", "difference",
)  # fmt: skip
_MAIN_WIDTHS: Final = (8, 12, 20, 26, 24, 10, 18, 16, 24, 24, 12)


def _main(review: Review, lang: Lang) -> Iterator[list[Cell]]:
    """The main table with each value beside quantity × price; exact figures."""
    case = review.case
    for item in (item for year in case.years for item in recompute.items(case, year)):
        again = None if item.again is None else yuan(item.again)
        apart = None if item.again is None else yuan(item.value_fen - item.again)
        satellite = words.say("satellite-mark", lang) if item.status == "satellite" else ""
        yield [
            item.year, words.say(f"list-class-{item.cls}", lang),
            case.title(item.service)[lang] + satellite, named(item.item)[lang],
            _exact(item.quantity), item.unit, _exact(item.price), item.price_unit, yuan(item.value_fen), again, apart,
        ]  # fmt: skip


def _exact(number: Decimal | None) -> Decimal | None:
    return None if number is None else Decimal(decimal_text(number))


def _sums(review: Review, lang: Lang) -> list[str]:
    """The totals of each table, one sentence a year."""
    return [said.text(lang) for said in review.answers[11].of("answer")]


_OPINION: Final = ("number", "question", "answer", "evidence", "flags", "state", "opinion", "verdict")
_OPINION_WIDTHS: Final = (6, 22, 44, 48, 44, 10, 36, 14)
_REPLY: Final = ("number", "question", "expert", "comment", "reply", "where", "person", "date")
_REPLY_WIDTHS: Final = (6, 30, 16, 40, 40, 20, 14, 14)


def _opinion(answer: Answer, lang: Lang) -> list[str]:
    said = "\n".join(_few(answer, "answer", lang))
    flags = [f"⚑ {line}" for line in _few(answer, "red", lang)] + [f"? {line}" for line in _few(answer, "ask", lang)]
    evidence = "\n".join(_few(answer, "evidence", lang))
    return [str(answer.number), _question(answer, lang), said, evidence, "\n".join(flags), _state(answer, lang), "", ""]


def _spare(columns: int) -> list[list[str]]:
    return [[str(questions.COUNT + n + 1), *[""] * (columns - 1)] for n in range(_SPARE)]


def _reply(answer: Answer, lang: Lang) -> list[str]:
    return [str(answer.number), _question(answer, lang), *[""] * (len(_REPLY) - 2)]


def _red_rows(review: Review) -> frozenset[int]:
    return frozenset(at for at, answer in enumerate(review.answers) if answer.state == "red")


# ---------------------------------------------------------------- files


def write(review: Review, out: Path, lang: Lang) -> list[Path]:
    """Both tables as a workbook and as a document, in a folder; the paths."""
    out.mkdir(parents=True, exist_ok=True)
    stem = words.say(
        "opinion-file", lang, year=file_label("-".join(review.case.years)), run=short(review.case.run.id)[:8]
    )
    book = filling.write(_tables(review, lang), out / f"{stem}.xlsx")
    return [book, _document(review, out / f"{stem}.docx", lang)]


def _tables(review: Review, lang: Lang) -> list[Table]:
    rows = [*(_opinion(answer, lang) for answer in review.answers), *_spare(len(_OPINION))]
    replies = [*(_reply(answer, lang) for answer in review.answers), *_spare(len(_REPLY))]
    page = closing.page(review.closure)
    title = _heading(review, lang).replace("\n", "  ")
    return [
        Table(_name("opinion", lang), title, _opinion_columns(lang), rows, _red_rows(review), _signature(lang)),
        Table(_name("reply", lang), title, _reply_columns(lang), replies, below=_signature(lang, "reply")),
        _closure_table(_name("closing", lang), page, lang),
        _closure_table(_name("zones", lang), review.closure, lang),
        _main_table(review, lang),
    ]  # fmt: skip


def _main_table(review: Review, lang: Lang) -> Table:
    wrong = sum(not check.holds for check in review.checks)
    title = words.say("opinion-recomputed", lang, wrong=wrong)
    columns = _columns("main", _MAIN, _MAIN_WIDTHS, lang)
    return Table(_name("main", lang), title, columns, list(_main(review, lang)), below=_sums(review, lang))


def _closure_table(name: str, rows: Sequence[Row], lang: Lang) -> Table:
    red = frozenset(at for at, row in enumerate(rows) if row.verdict == "red")
    columns = _columns("closing", _CLOSING, _CLOSING_WIDTHS, lang)
    return Table(name, words.say("closing-title", lang), columns, [_closing(row, lang) for row in rows], red)


def _name(table: str, lang: Lang) -> str:
    return words.say(f"opinion-sheet-{table}", lang)


def _columns(table: str, names: Sequence[str], widths: Sequence[float], lang: Lang) -> list[Column]:
    return [Column(words.say(f"{table}-{name}", lang), width) for name, width in zip(names, widths, strict=True)]


def _opinion_columns(lang: Lang) -> list[Column]:
    made = _columns("opinion", [f"column-{name}" for name in _OPINION], _OPINION_WIDTHS, lang)
    verdicts = tuple(words.say("opinion-verdicts", lang).split("|"))
    return [
        *made[:-2],
        Column(made[-2].head, made[-2].width, True),
        Column(made[-1].head, made[-1].width, True, verdicts),
    ]


def _reply_columns(lang: Lang) -> list[Column]:
    made = _columns("reply", _REPLY, _REPLY_WIDTHS, lang)
    return [*made[:2], *(Column(column.head, column.width, True) for column in made[2:])]


def _signature(lang: Lang, table: str = "opinion") -> list[str]:
    return ["", *words.say(f"{table}-signature", lang).splitlines()]


def _document(review: Review, out: Path, lang: Lang) -> Path:
    from gep.paper import Paper

    paper = Paper(lang, words.say("opinion-title", lang))
    paper.display(words.say("opinion-title", lang), 22, before=160, heavy=True)
    paper.display(review.case.run.title, 15, before=24)
    for line in _heading(review, lang).splitlines():
        paper.display(line, 10.5, before=12)
    paper.pages(landscape=True, restart=True)
    _paper_table(paper, _name("opinion", lang), ("opinion", _OPINION), _opinions_short(review, lang))
    _signed(paper, _signature(lang))
    paper.pages(landscape=True)
    replies = [(_reply(answer, lang), False) for answer in review.answers]
    _paper_table(paper, _name("reply", lang), ("reply", _REPLY), replies)
    _signed(paper, _signature(lang, "reply"))
    paper.pages(landscape=True)
    closure = [(_texts(_closing(row, lang)), row.verdict == "red") for row in closing.page(review.closure)]
    _paper_table(paper, _name("closing", lang), ("closing", _CLOSING), closure)
    paper.pages(landscape=True)
    _paper_table(
        paper, _name("main", lang), ("main", _MAIN), [(_texts(row), False) for row in _main(review, lang)][:_RECOMPUTED]
    )
    for line in _sums(review, lang):
        paper.text(line)
    paper.save(out)
    return out


def _opinions_short(review: Review, lang: Lang) -> list[tuple[list[str], bool]]:
    rows = [(_opinion(answer, lang), answer.state == "red") for answer in review.answers]
    return [*rows, *((row, False) for row in _spare(len(_OPINION)))]


_SHARES: Final = {
    "opinion": (5, 11, 20, 23, 26, 7, 15, 8), "reply": (5, 26, 12, 34, 34, 16, 10, 10),
    "closing": (9, 7, 11, 17, 15, 15, 5, 9, 20, 10), "main": (6, 11, 14, 18, 15, 7, 10, 10, 15, 15, 10),
}  # fmt: skip
_FIGURES: Final = {"closing": (4, 5, 7), "main": (4, 6, 8, 9, 10)}  # columns whose figures stand on the right


def _paper_table(
    paper: Any, caption: str, of: tuple[str, Sequence[str]], rows: Sequence[tuple[list[str], bool]]
) -> None:
    from gep.paper import Grid
    from gep.paper import Row as Line

    table, names = of
    prefix = "opinion-column" if table == "opinion" else table
    paper.heading(caption)
    heads = [words.say(f"{prefix}-{name}", paper.lang) for name in names]
    grid = Grid(_SHARES[table], right=_FIGURES.get(table, ()))
    paper.table(caption, heads, (Line(tuple(cells), marked) for cells, marked in rows), grid)


def _signed(paper: Any, lines: Sequence[str]) -> None:
    for line in filter(None, lines):
        paper.text(line)
