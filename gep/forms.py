"""Forms for the bureaus: one workbook each of the statistics and prices that an account needs, written and read back.

A form's data sheet is a long form of statistics, so that a stack may also read the filled forms as they are.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gep import headings, profile, sheets, shipped, tables, words
from gep.declaration import Declaration, declare, file_label
from gep.errors import Fact, GepError, Problem, raise_all
from gep.headings import folded
from gep.needs import BUREAUS, Need, needs
from gep.prepare import DEFAULT_PROFILE, Request
from gep.quantities import quantities
from gep.statistics import Reader, Statistic, conversion, implausible, mixed, twice, zone_names, zone_words
from gep.words import LANGS, Lang
from gep.yearbook import Given
from gep.years import is_year

_MOST = 1e300  # what a spreadsheet's check takes for no limit
_SPARE = 4  # empty rows for the objects of a zone
_HEAD, _FILL, _GREY, _LINE = "1F4E78", "FFF8DC", "808080", "BFBFBF"
# The data sheet's columns: what they mean, and their widths.
_DATA = {
    "zone": 12, "zone_name": 18, "name": 30, "object": 18, "value": 16, "unit": 14, "source": 28, "note": 24,
    "definition": 52, "range": 24, "year": 8, "quantity": 28,
}  # fmt: skip
_PRICES = {
    "name": 34, "price": 28, "unit": 14, "shipped": 16, "shipped_source": 28, "value": 16, "price_year": 12,
    "source": 28, "note": 24,
}  # fmt: skip
_NEEDED = ("price", "unit", "value", "price_year", "source", "note")  # of a sheet of prices, to be read back
_FILLED = ("object", "value", "source", "note", "price_year")
_SOURCES = ("id", "title", "publisher", "number", "year", "url", "licence")
_LONG = ("zone", "year", "quantity", "object", "value", "unit", "source", "note")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the forms of a stack ask for: the zones by code with their names, statistics, prices and their tables."""

    title: str
    profile: profile.Profile
    zones: Mapping[str, Mapping[Lang, str]]
    statistics: Sequence[Need]
    prices: Sequence[Need]
    shipped: Mapping[str, tables.Row | None]


@dataclass(frozen=True, slots=True)
class Late:
    """A statistic of a bureau: how many of its zones have answered, and the names of those that have not."""

    bureau: str
    quantity: str
    answered: int
    of: int
    missing: tuple[Mapping[Lang, str], ...]
    optional: bool


@dataclass(slots=True)
class Check:
    """What was found in a folder of filled forms. `lines` are the numbers as filled in, in the long form."""

    late: list[Late] = field(default_factory=list)
    lines: list[dict[str, str]] = field(default_factory=list)
    prices: list[dict[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def asking(request: Request) -> Asked:
    """What the forms ask for. The stack's layers need not be there yet; GepError if it or its zones cannot be read."""
    declared, problems = declare(request.stack)
    raise_all(p for p in problems if p.code.startswith("stack-"))
    chosen = profile.load(request.profile or DEFAULT_PROFILE)
    methods = {**chosen.methods, **declared.methods, **request.methods}
    zones = zone_names(declared.zones)
    if not zones:
        raise GepError([Problem("forms-zones-unread", str(declared.zones.path))])
    statistics, prices = needs(chosen, frozenset(declared.layers), methods)
    return Asked(declared.title, chosen, zones, statistics, prices, _shipped(declared, chosen, prices, request))


def _shipped(
    declared: Declaration, chosen: profile.Profile, prices: Iterable[Need], request: Request
) -> dict[str, tables.Row | None]:
    """The row of each price that an account would take now; None where there is none."""
    extra = [folder for folder in (declared.coefficients, request.coefficients) if folder]
    known, sets = tables.load([shipped.folder(), *extra], declared.region), {**chosen.sets, **declared.sets}
    found = {}
    for need in prices:
        name = need.quantity.name
        rows = [r for r in known[name].rows if sets.get(name) in (None, r.set)] if name in known else []
        found[name] = rows[0] if len(rows) == 1 else None
    return found


# --- writing -------------------------------------------------------------------------------------------------------


def write(request: Request, year: str, out: Path, lang: Lang) -> list[Path]:
    """Write one form for each bureau that has something to give; the paths. No file that stands is written over.

    Raises GepError if the stack cannot be read, or a form stands there already: it may have been filled in.
    """
    what = asking(request)
    paths = {
        bureau: out / words.say("form-file", lang, year=file_label(year), bureau=_bureau(bureau, lang))
        for bureau in BUREAUS
    }
    wanted = {bureau: path for bureau, path in paths.items() if any(_of(bureau, what))}
    raise_all(Problem("forms-exist", str(path)) for path in wanted.values() if path.exists())
    out.mkdir(parents=True, exist_ok=True)
    for bureau, path in wanted.items():
        _form(what, bureau, year, lang).save(path)
    return list(wanted.values())


def _of(bureau: str, what: Asked) -> tuple[list[Need], list[Need]]:
    mine = [[n for n in listed if n.owner.bureau == bureau] for listed in (what.statistics, what.prices)]
    return mine[0], mine[1]


def _bureau(bureau: str, lang: Lang) -> str:
    return words.say(f"bureau-{bureau}", lang)


def _form(what: Asked, bureau: str, year: str, lang: Lang) -> Any:
    import openpyxl

    book = openpyxl.Workbook()
    _cover(book.active, what, bureau, year, lang)
    statistics, prices = _of(bureau, what)
    if statistics:
        _data(book.create_sheet(words.say("form-data", lang)), what, statistics, year, lang)
    if prices:
        _prices(book.create_sheet(words.say("form-prices", lang)), what, prices, lang)
    return book


def _cover(sheet: Any, what: Asked, bureau: str, year: str, lang: Lang) -> None:
    """Who fills the form in, and how."""
    from openpyxl.styles import Alignment, Font, PatternFill

    sheet.title = words.say("form-cover", lang)
    sheet.sheet_view.showGridLines = False
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 24, 96
    sheet.append([words.say("form-title", lang, year=year, bureau=_bureau(bureau, lang))])
    sheet["A1"].font = Font(size=16, bold=True, color=_HEAD)
    sheet.append([f"{what.title} · {what.profile.title[lang]}"])
    sheet.append([])
    for key in ("form-unit", "form-person", "form-phone", "form-date"):
        sheet.append([words.say(key, lang)])
        sheet.cell(sheet.max_row, 2).fill = PatternFill("solid", fgColor=_FILL)
        sheet.cell(sheet.max_row, 2).border = _border()
    for one in sorted(LANGS, key=lambda other: other != lang):
        sheet.append([])
        for number, line in enumerate(words.say("form-how", one).strip().splitlines(), 1):
            sheet.append([number, line])
            sheet.cell(sheet.max_row, 1).alignment = Alignment(horizontal="right", vertical="top")
            sheet.cell(sheet.max_row, 2).alignment = Alignment(wrap_text=True, vertical="top")
    _page(sheet, landscape=False)


def _data(sheet: Any, what: Asked, asked: Sequence[Need], year: str, lang: Lang) -> None:
    """A row for each zone and quantity, and spare ones where a zone may have several objects."""
    _heads(sheet, _DATA, lang)
    for need in asked:
        first = sheet.max_row + 1
        for code, names in what.zones.items():
            row = _row(need, code, names, year, lang)
            for _ in range(1 + _SPARE if need.owner.object["zh"] else 1):
                sheet.append([_year(row[name]) if name == "year" else row[name] or None for name in _DATA])
        _checked(sheet, need, first)
    _finish(sheet, _DATA)


def _year(text: str) -> int | str:
    """A year as a number; the label of a reference period as it is."""
    return int(text) if is_year(text) else text


def _row(need: Need, code: str, names: Mapping[Lang, str], year: str, lang: Lang) -> dict[str, str]:
    known, other = need.quantity, next(one for one in LANGS if one != lang)
    object_ = need.owner.object[lang]
    definition = [_definition(need, lang), _definition(need, other)]
    return {
        "zone": code,
        "zone_name": names.get(lang) or next(iter(names.values()), ""),
        "name": f"{getattr(known, lang)}" + (f" · {object_}" if object_ else ""),
        "object": "", "value": "", "source": "", "note": "",
        "unit": need.unit,
        "definition": "\n".join(definition),
        "range": " – ".join(_figure(end) for end in _limits(need)),
        "year": year,
        "quantity": known.name,
    }  # fmt: skip


def _definition(need: Need, lang: Lang) -> str:
    told = need.owner.definition[lang]
    name = getattr(need.quantity, lang)
    return (f"{name}: {told}" if told else name) + (f" {words.say('form-optional', lang)}" if need.optional else "")


def _limits(need: Need) -> tuple[float, float]:
    """The plausible range in the form's unit."""
    scale, offset = conversion(need.unit, need.quantity) or (1.0, 0.0)
    return (need.quantity.low - offset) / scale, (need.quantity.high - offset) / scale


def _figure(number: float) -> str:
    """A number as a reader likes it; "" for no limit."""
    return "" if math.isinf(number) else f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.6g}"


def _checked(sheet: Any, need: Need, first: int) -> None:
    """The spreadsheet program asks back when a value is no number in its range; — for no data can still be kept."""
    from openpyxl.worksheet.datavalidation import DataValidation

    low, high = (min(max(end, -_MOST), _MOST) for end in _limits(need))
    rule = DataValidation(type="decimal", operator="between", formula1=repr(low), formula2=repr(high), allow_blank=True)
    rule.errorStyle, rule.showErrorMessage = "warning", True
    rule.errorTitle = need.unit
    rule.error = f"{_figure(low)} – {_figure(high)} {need.unit}"
    rule.showInputMessage, rule.promptTitle, rule.prompt = True, need.quantity.zh[:32], need.unit
    letter = sheets.letters(list(_DATA).index("value"))
    rule.add(f"{letter}{first}:{letter}{sheet.max_row}")
    sheet.add_data_validation(rule)


def _prices(sheet: Any, what: Asked, asked: Sequence[Need], lang: Lang) -> None:
    """The prices that the account would take, each with room for the local one."""
    _heads(sheet, _PRICES, lang)
    for need in asked:
        row = what.shipped[need.quantity.name]
        now = words.say("form-price-none", lang) if row is None or math.isnan(row.value) else f"{row.value:.12g}"
        cited = f"{row.source} {row.year} {words.say(f'verified-{row.verified}', lang)}" if row is not None else ""
        names = (getattr(need.quantity, lang), need.quantity.name, need.quantity.unit)
        sheet.append([*names, now, cited, None, None, None, None])
    _finish(sheet, _PRICES)


def _heads(sheet: Any, columns: Mapping[str, int], lang: Lang) -> None:
    """The headings in both languages, the reader's first."""
    from openpyxl.styles import Alignment, Font, PatternFill

    order = sorted(LANGS, key=lambda one: one != lang)
    sheet.append(["\n".join(words.say(f"form-column-{name}", one) for one in order) for name in columns])
    for cell, width in zip(sheet[1], columns.values(), strict=True):
        cell.font = Font(bold=True, color="FFFFFF")
        cell.fill = PatternFill("solid", fgColor=_HEAD)
        cell.alignment = Alignment(wrap_text=True, horizontal="center", vertical="center")
        sheet.column_dimensions[cell.column_letter].width = width
    sheet.row_dimensions[1].height = 34


def _finish(sheet: Any, columns: Mapping[str, int]) -> None:
    """Borders, colours of what is to be filled in, the head kept in sight and on every page."""
    from openpyxl.styles import Alignment, Font, PatternFill

    for line in sheet.iter_rows(min_row=2):
        for cell, name in zip(line, columns, strict=True):
            cell.border = _border()
            cell.alignment = Alignment(wrap_text=True, vertical="center")
            cell.data_type = "s" if isinstance(cell.value, str) else cell.data_type  # a name is never a formula
            if name in _FILLED:
                cell.fill = PatternFill("solid", fgColor=_FILL)
            elif name in ("quantity", "price", "range", "definition", "year", "shipped_source"):
                cell.font = Font(color=_GREY, size=9)
        sheet.row_dimensions[line[0].row].height = _height([str(cell.value or "") for cell in line], columns.values())
    sheet.freeze_panes = "E2" if "object" in columns else "C2"
    sheet.auto_filter.ref = sheet.dimensions
    sheet.print_title_rows = "1:1"
    _page(sheet, landscape=True)


def _height(texts: Sequence[str], widths: Iterable[int]) -> float:
    """Points for a row whose cells wrap: Excel fits none that it has not seen typed, and LibreOffice none at all."""
    lines = [
        sum(math.ceil(max(1, words.width(part)) / (width - 1)) for part in text.split("\n"))
        for text, width in zip(texts, widths, strict=True)
    ]
    return 3.0 + 13.0 * max(lines)


def _border() -> Any:
    from openpyxl.styles import Border, Side

    line = Side(style="thin", color=_LINE)
    return Border(left=line, right=line, top=line, bottom=line)


def _page(sheet: Any, *, landscape: bool) -> None:
    sheet.page_setup.orientation = "landscape" if landscape else "portrait"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True


# --- reading back --------------------------------------------------------------------------------------------------


def check(request: Request, folder: Path, year: str, out: Path | None = None) -> Check:
    """Read every form of a folder back (`out`, a table made of them before, is none): numbers, problems, who is late.

    A cell that says there are no data (—, 无) is an answer; an empty one is late. Raises GepError if the stack cannot
    be read.
    """
    what, declared = asking(request), declare(request.stack)[0]
    given, made = Given(zone_words(declared.zones), year), Check()
    answers: set[tuple[str, str]] = set()
    found: list[Statistic] = []
    files = [p for p in sorted(folder.iterdir()) if _is_form(p) and p != out] if folder.is_dir() else []
    if not files:
        made.problems.append(Problem("forms-none", str(folder)))
    for path in files:
        found += _read(path, given, made, answers)
        made.prices += _read_prices(path, made.problems)
    made.problems += [*twice(found), *_wrong(found, year)]
    made.late = [_late(need, what, answers) for need in what.statistics]
    return made


def _is_form(path: Path) -> bool:
    return path.suffix.lower() in (".xlsx", ".xlsm", ".csv") and not path.name.startswith(("~$", "."))


def _read(path: Path, given: Given, made: Check, answers: set[tuple[str, str]]) -> list[Statistic]:
    reader, found = Reader(path, made.problems, given), []
    for where, row in reader.rows():
        if not row["value"]:
            continue
        number = reader.statistic(where, row)
        name = headings.quantity_words().get(folded(row["quantity"]), "")
        zone = given.zones.get(folded(row["zone"]), "")
        if number is not None:
            found.append(number)
            made.lines.append({key: row.get(key, "") for key in _LONG} | {"zone": zone, "quantity": name})
        if number is not None or headings.missing(row["value"]):
            answers.add((name, zone))
    return found


def _wrong(found: Sequence[Statistic], year: str) -> Iterable[Problem]:
    """Numbers of another year, out of all range, or of a zone and of what is in it."""
    yield from (Problem("forms-year", s.where, {"year": s.year, "wanted": year}) for s in found if s.year != year)
    yield from [*implausible(found), *mixed(found)]


def _late(need: Need, what: Asked, answers: set[tuple[str, str]]) -> Late:
    missing = tuple(names for code, names in what.zones.items() if (need.quantity.name, code) not in answers)
    of = len(what.zones)
    return Late(need.owner.bureau, need.quantity.name, of - len(missing), of, missing, need.optional)


def _read_prices(path: Path, problems: list[Problem]) -> list[dict[str, str]]:
    """The local prices of a form, each with its place under `where`."""
    if path.suffix.lower() == ".csv":
        return []
    titles = {words.say("form-prices", lang) for lang in LANGS}
    found = []
    for sheet in (one for one in sheets.read(path, []) if one.name in titles and one.rows):
        columns = _price_columns(sheet)
        lost = [words.say(f"form-column-{name}", lang) for name in _NEEDED if name not in columns for lang in LANGS]
        if lost:
            problems.append(Problem("forms-columns-missing", sheet.where(0), {"columns": ", ".join(lost)}))
            continue
        for number in range(1, len(sheet.rows)):
            row = {name: sheet.cell(number, col) for name, col in columns.items()}
            if row["value"] and not headings.missing(row["value"]):
                found.append(row | {"where": sheet.where(number, columns["value"])})
    problems += [p for row in found for p in _price_wrong(row)]
    return found


def _price_columns(sheet: sheets.Sheet) -> dict[str, int]:
    """The columns of a sheet of prices by their headings: a bureau may have put one in between."""
    known = {folded(words.say(f"form-column-{name}", lang)): name for name in _PRICES for lang in LANGS}
    found: dict[str, int] = {}
    for col, text in enumerate(sheet.rows[0]):
        for part in headings.folded_parts(text):
            if part in known:
                found.setdefault(known[part], col)
    return found


def _price_wrong(row: Mapping[str, str]) -> Iterable[Problem]:
    known, value = quantities().get(row["price"]), headings.number(row["value"])
    if known is None or known.kind != "price":
        yield Problem("forms-price-unknown", row["where"], {"price": row["price"]})
    elif value is None:
        yield Problem("forms-price-number", row["where"], {"value": row["value"]})
    elif (found := conversion(row["unit"], known)) is None:
        facts: dict[str, Fact] = {"unit": row["unit"], "quantity": known.name, "wanted": known.unit}
        yield Problem("statistics-unit-wrong", row["where"], facts)
    else:
        figure = Statistic(
            "", row["price_year"], known.name, value * found[0] + found[1], row["source"], where=row["where"]
        )
        yield from implausible([figure])
    empty = [name for name in ("price_year", "source") if not row[name]]
    if empty:
        yield Problem("statistics-cell-empty", row["where"], {"columns": ", ".join(empty)})


def merge(found: Check, out: Path) -> list[Path]:
    """Write the numbers as one table that a stack reads, and local prices into a folder beside it; the paths.

    The folder (`<name>_prices`) is one of coefficients: its rows come before the shipped ones (`--coefficients`).
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(out, _LONG, found.lines)
    if not found.prices:
        return [out]
    folder = out.with_name(f"{out.stem}_prices")
    folder.mkdir(exist_ok=True)
    ids = {text: f"{out.stem}_{i}" for i, text in enumerate(dict.fromkeys(r["source"] for r in found.prices), 1)}
    rows = [
        {key: row[key] for key in ("price", "value", "unit", "price_year", "note")}
        | {"source": ids[row["source"]], "verified": "secondhand"}
        for row in found.prices
    ]
    _write(folder / "prices.csv", ("price", "value", "unit", "price_year", "source", "verified", "note"), rows)
    _write(folder / "sources.csv", _SOURCES, [{"id": key, "title": text} for text, key in ids.items()])
    return [out, folder]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        lines = csv.DictWriter(file, columns, lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)


def table(found: Check, lang: Lang) -> list[tuple[str, ...]]:
    """Who is late: by bureau and quantity, how many zones have answered and which have not. The head comes first."""
    heads = ("form-bureau", "form-quantity", "form-answered", "form-missing")
    rows = [tuple(words.say(key, lang) for key in heads)]
    for late in sorted(found.late, key=lambda one: BUREAUS.index(one.bureau)):
        names = ", ".join(names.get(lang) or next(iter(names.values()), "") for names in late.missing)
        text = names and (words.say("form-optional", lang) + " " if late.optional else "") + names
        name = f"{getattr(quantities()[late.quantity], lang)} {late.quantity}"
        rows.append((_bureau(late.bureau, lang), name, f"{late.answered}/{late.of}", text or "–"))
    return rows


def as_dict(found: Check, lang: Lang) -> dict[str, Any]:
    """For JSON."""
    late = [
        {
            "bureau": one.bureau, "quantity": one.quantity, "answered": one.answered, "of": one.of,
            "missing": [names.get(lang, "") for names in one.missing], "optional": one.optional,
        }
        for one in found.late
    ]  # fmt: skip
    problems = [p.as_dict() | {"text": words.problem(p, lang)} for p in found.problems]
    return {"late": late, "problems": problems, "values": found.lines}
