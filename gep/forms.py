"""Forms for the bureaus: one workbook each of the statistics and prices that an account needs, written and read back.

A form's data sheet is a long form of statistics, so that a stack may also read the filled forms as they are. The
accounting team has one of the coefficients that no table gives.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gep import headings, lacking, profile, sheets, shipped, tables, words
from gep.declaration import Declaration, declare, file_label
from gep.errors import Fact, GepError, Problem, raise_all
from gep.headings import folded
from gep.lacking import Lack
from gep.needs import BUREAUS, Need, needs
from gep.prepare import DEFAULT_PROFILE, Request
from gep.profile import POPULATION
from gep.quantities import quantities
from gep.statistics import Reader, Statistic, conversion, implausible, mixed, twice, zone_names, zone_words
from gep.words import LANGS, Lang
from gep.yearbook import Given
from gep.years import is_year

_MOST = 1e300  # what a spreadsheet's check takes for no limit
_COVER = 96  # the width of what the cover says
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
_COEFFICIENTS = {
    "name": 30, "class": 20, "value": 14, "unit": 14, "source": 28, "clause": 16, "source_year": 13, "note": 20,
    "range": 16, "shipped": 20, "known": 44, "used": 24, "coefficient": 22, "keys": 28,
}  # fmt: skip
_HINTS = {
    "name": 30, "class": 20, "figure": 26, "set": 18, "region": 10, "verified": 14, "cited": 56, "known": 44,
    "coefficient": 22,
}  # fmt: skip
# Of sheets beside the statistics, what is read back, and of that what a number must have.
_NEEDED = {
    "prices": ("price", "unit", "value", "price_year", "source", "note"),
    "coefficients": ("coefficient", "keys", "unit", "value", "source", "clause", "source_year", "note"),
}
_CITED = {"prices": ("price_year", "source"), "coefficients": ("source", "clause", "source_year")}
_FILLED = ("object", "value", "source", "note", "price_year", "clause", "source_year")
_QUIET = ("quantity", "price", "range", "definition", "year", "shipped_source", "coefficient", "keys", "known", "used")
TEAM = "team"  # who gives coefficients
_FORMS = (*BUREAUS, TEAM)
_SOURCES = ("id", "title", "publisher", "number", "year", "url", "licence")
_TABLE = ("value", "unit", "source", "clause", "year", "verified", "note")
_PRICE_TABLE = ("price", "value", "unit", "price_year", "source", "verified", "note")
_LONG = ("zone", "year", "quantity", "object", "value", "unit", "source", "note")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the forms of a stack ask for: the zones by code with their names, statistics, prices, coefficients.

    `parts` are the zones below, whose statistics are keys of allocation; `headed` is whether people are such a key.
    """

    title: str
    profile: profile.Profile
    zones: Mapping[str, Mapping[Lang, str]]
    statistics: Sequence[Need]
    prices: Sequence[Need]
    shipped: Mapping[str, tables.Row | None]
    coefficients: Sequence[Lack]
    parts: Mapping[str, Mapping[Lang, str]]
    headed: bool

    @property
    def below(self) -> list[Need]:
        """The statistics asked of the zones below, as keys; nothing of plants or lakes, which most do not have."""
        required = (POPULATION,) if self.headed else ()
        asked = (need for need in self.statistics if not need.owner.object["zh"])
        return [replace(need, optional=need.quantity.name not in required) for need in asked]


@dataclass(frozen=True, slots=True)
class Late:
    """A statistic or coefficient: how many of its zones or classes have answered, and the names of the others."""

    bureau: str
    quantity: str
    answered: int
    of: int
    missing: tuple[Mapping[Lang, str], ...]
    optional: bool
    below: bool = False


@dataclass(slots=True)
class Check:
    """What was found in a folder of filled forms. `lines` are the numbers as filled in, in the long form."""

    late: list[Late] = field(default_factory=list)
    lines: list[dict[str, str]] = field(default_factory=list)
    prices: list[dict[str, str]] = field(default_factory=list)
    coefficients: list[dict[str, str]] = field(default_factory=list)
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
    folders = [folder for folder in (declared.coefficients, request.coefficients) if folder]
    parts = {
        code: names for level in declared.levels if level.within for code, names in zone_names(level.zones).items()
    }
    return Asked(
        title=declared.title,
        profile=chosen,
        zones=zones,
        statistics=statistics,
        prices=prices,
        shipped=_shipped(declared, chosen, prices, folders),
        coefficients=lacking.lacking(declared, chosen, methods, folders),
        parts=parts,
        headed=any(item.parts == (POPULATION,) for service in chosen.services.values() for item in service.items),
    )


def _shipped(
    declared: Declaration, chosen: profile.Profile, prices: Iterable[Need], folders: Sequence[Path]
) -> dict[str, tables.Row | None]:
    """The row of each price that an account would take now; None where there is none."""
    known, sets = tables.load([shipped.folder(), *folders], declared.region), {**chosen.sets, **declared.sets}
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
        for bureau in _FORMS
    }
    asks = {bureau: any(_of(bureau, what)) for bureau in BUREAUS} | {TEAM: bool(what.coefficients)}
    wanted = {bureau: path for bureau, path in paths.items() if asks[bureau]}
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
        _data(book.create_sheet(words.say("form-data", lang)), what.zones, statistics, year, lang)
    mine = [need for need in what.below if need.owner.bureau == bureau]
    if mine and what.parts:
        _data(book.create_sheet(words.say("form-parts", lang)), what.parts, mine, year, lang)
    if prices:
        _prices(book.create_sheet(words.say("form-prices", lang)), what, prices, lang)
    if bureau == TEAM:
        _coefficients(book.create_sheet(words.say("form-coefficients", lang)), what.coefficients, lang)
        known = lacking.hints(lack.quantity.name for lack in what.coefficients)
        if known:
            _hints(book.create_sheet(words.say("form-hints", lang)), known, lang)
    return book


def _cover(sheet: Any, what: Asked, bureau: str, year: str, lang: Lang) -> None:
    """Who fills the form in, and how."""
    from openpyxl.styles import Alignment, Font, PatternFill

    sheet.title = words.say("form-cover", lang)
    sheet.sheet_view.showGridLines = False
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 24, _COVER
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
        how = "form-how-team" if bureau == TEAM else "form-how"
        for number, line in enumerate(words.say(how, one).strip().splitlines(), 1):
            sheet.append([number, line])
            sheet.cell(sheet.max_row, 1).alignment = Alignment(horizontal="right", vertical="top")
            sheet.cell(sheet.max_row, 2).alignment = Alignment(wrap_text=True, vertical="top")
            sheet.row_dimensions[sheet.max_row].height = _height([line], [_COVER])
    _page(sheet, landscape=False)


def _data(sheet: Any, zones: Mapping[str, Mapping[Lang, str]], asked: Sequence[Need], year: str, lang: Lang) -> None:
    """A row for each zone and quantity, and spare ones where a zone may have several objects."""
    _heads(sheet, _DATA, lang)
    for need in asked:
        first = sheet.max_row + 1
        for code, names in zones.items():
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


def _coefficients(sheet: Any, asked: Sequence[Lack], lang: Lang) -> None:
    """The coefficients that are lacking, each with what is known of it and room for a number with its source."""
    _heads(sheet, _COEFFICIENTS, lang)
    for lack in asked:
        known, optional = lack.quantity, words.say("form-optional", lang) if lack.optional else ""
        services = words.listed([service.title[lang] for service in lack.services], lang)
        limits = " – ".join(_figure(end) for end in (known.low, known.high))
        sheet.append([
            getattr(known, lang) + optional, _class_name(lack.keys, lang), None, known.unit, None, None, None, None,
            limits, _taken(lack.now, lang), _met(lack.now, lang), services, known.name, _key_text(lack.keys),
        ])  # fmt: skip
    _finish(sheet, _COEFFICIENTS)


def _taken(row: tables.Row | None, lang: Lang) -> str:
    """The value that an account takes now, with the mark of its row."""
    if row is None or math.isnan(row.value):
        return words.say("form-price-none", lang)
    return f"{row.value:.12g} {words.say(f'verified-{row.verified}', lang)}"


def _met(row: tables.Row | None, lang: Lang) -> str:
    """What a row without a number says: its note, and the range that was met."""
    if row is None:
        return ""
    spread = "" if math.isnan(row.low) else words.say("form-met", lang, range=f"{row.low:.6g}–{row.high:.6g}")
    return "\n".join(filter(None, (row.note, spread)))


def _hints(sheet: Any, known: Sequence[tables.Row], lang: Lang) -> None:
    """What other sets, regions and publications say: to be looked up there, never taken as it stands."""
    _heads(sheet, _HINTS, lang)
    cited, keys = tables.sources(), {name: table.keys for name, table in tables.everywhere().items()}
    for row in known:
        source = cited[row.source]
        sheet.append([
            getattr(quantities()[row.quantity], lang),
            _class_name(dict(zip(keys[row.quantity], row.keys, strict=True)), lang),
            "" if math.isnan(row.value) else row.figure,
            row.set, row.region, words.say(f"verified-{row.verified}", lang),
            " ".join(filter(None, (source.title, source.number, row.clause, row.year))), _met(row, lang), row.quantity,
        ])  # fmt: skip
    _finish(sheet, _HINTS)


def _class_name(keys: Mapping[str, str], lang: Lang) -> str:
    """What a row of a table is of, in words; the whole area where it is one number."""
    types = tables.ecosystem_types()
    parts = [getattr(types[text], lang) if key == lacking.ECOSYSTEM else text for key, text in keys.items() if text]
    return words.listed(parts, lang) if parts else words.say("form-everywhere", lang)


def _key_text(keys: Mapping[str, str]) -> str:
    """Key cells as one text.

    >>> _key_text({"ecosystem": "forest", "threat": "town"}), _keys_of("ecosystem=forest; threat=")
    ('ecosystem=forest; threat=town', {'ecosystem': 'forest', 'threat': ''})
    """
    return "; ".join(f"{key}={text}" for key, text in keys.items())


def _keys_of(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


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

    border, wrapped = _border(), Alignment(wrap_text=True, vertical="center")
    pale, grey = PatternFill("solid", fgColor=_FILL), Font(color=_GREY, size=9)
    for line in sheet.iter_rows(min_row=2):
        for cell, name in zip(line, columns, strict=True):
            cell.border, cell.alignment = border, wrapped
            cell.data_type = "s" if isinstance(cell.value, str) else cell.data_type  # a name is never a formula
            if name in _FILLED:
                cell.fill = pale
            elif name in _QUIET:
                cell.font = grey
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
    below = [level.zones for level in declared.levels if level.within]
    given, made = Given(zone_words(declared.zones, below), year), Check()
    answers: set[tuple[str, str]] = set()  # of quantities: zones, or key cells
    found: list[Statistic] = []
    files = [p for p in sorted(folder.iterdir()) if _is_form(p) and p != out] if folder.is_dir() else []
    if not files:
        made.problems.append(Problem("forms-none", str(folder)))
    for path in files:
        found += _read(path, given, made, answers)
        made.prices += _read_prices(path, made.problems)
        _read_coefficients(path, made, answers)
    made.problems += [*twice(found), *_wrong(found, year)]
    made.late = list(_lates(what, answers))
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


def _lates(what: Asked, answers: set[tuple[str, str]]) -> Iterator[Late]:
    """Zone by zone; then the zones below, where some have answered or all must; then classes of coefficients."""
    for need in what.statistics:
        yield _late(need, what.zones, answers)
    for need in what.below if what.parts else ():
        late = _late(need, what.parts, answers)
        if late.answered or not late.optional:
            yield replace(late, below=True)
    for name in dict.fromkeys(lack.quantity.name for lack in what.coefficients):
        lacks = [lack for lack in what.coefficients if lack.quantity.name == name]
        left = [lack for lack in lacks if (name, _key_text(lack.keys)) not in answers]
        names: list[Mapping[Lang, str]] = [{lang: _class_name(lack.keys, lang) for lang in LANGS} for lack in left]
        yield Late(TEAM, name, len(lacks) - len(left), len(lacks), tuple(names), lacks[0].optional)


def _late(need: Need, zones: Mapping[str, Mapping[Lang, str]], answers: set[tuple[str, str]]) -> Late:
    missing = tuple(names for code, names in zones.items() if (need.quantity.name, code) not in answers)
    return Late(need.owner.bureau, need.quantity.name, len(zones) - len(missing), len(zones), missing, need.optional)


def _filled(path: Path, kind: str, columns: Iterable[str], problems: list[Problem]) -> Iterable[dict[str, str]]:
    """The rows of a form's sheets of a kind that have a value, each with its place under `where`."""
    if path.suffix.lower() == ".csv":
        return
    titles = {words.say(f"form-{kind}", lang) for lang in LANGS}
    for sheet in (one for one in sheets.read(path, []) if one.name in titles and one.rows):
        found = _found(sheet, columns)
        lost = [words.say(f"form-column-{n}", lang) for n in _NEEDED[kind] if n not in found for lang in LANGS]
        if lost:
            problems.append(Problem("forms-columns-missing", sheet.where(0), {"columns": ", ".join(lost)}))
            continue
        for number in range(1, len(sheet.rows)):
            row = {name: sheet.cell(number, col) for name, col in found.items()}
            if row["value"]:
                yield row | {"where": sheet.where(number, found["value"])}


def _found(sheet: sheets.Sheet, columns: Iterable[str]) -> dict[str, int]:
    """The columns of a sheet by their headings: a bureau may have put one in between."""
    known = {folded(words.say(f"form-column-{name}", lang)): name for name in columns for lang in LANGS}
    found: dict[str, int] = {}
    for col, text in enumerate(sheet.rows[0]):
        for part in headings.folded_parts(text):
            if part in known:
                found.setdefault(known[part], col)
    return found


def _uncited(row: Mapping[str, str], kind: str) -> Iterable[Problem]:
    """A number without what says where it comes from."""
    empty = [name for name in _CITED[kind] if not row[name]]
    if empty:
        yield Problem("statistics-cell-empty", row["where"], {"columns": ", ".join(empty)})


def _read_prices(path: Path, problems: list[Problem]) -> list[dict[str, str]]:
    """The local prices of a form."""
    found = [row for row in _filled(path, "prices", _PRICES, problems) if not headings.missing(row["value"])]
    problems += [p for row in found for p in _price_wrong(row)]
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
    yield from _uncited(row, "prices")


def _read_coefficients(path: Path, made: Check, answers: set[tuple[str, str]]) -> None:
    """The coefficients of a form, as cells of their tables."""
    for row in _filled(path, "coefficients", _COEFFICIENTS, made.problems):
        known = quantities().get(row["coefficient"])
        if known is None or known.kind in ("statistic", "zone", "price"):
            facts: dict[str, Fact] = {"coefficient": row["coefficient"]}
            made.problems.append(Problem("forms-coefficient-unknown", row["where"], facts))
            continue
        keys = _key_text(_keys_of(row["keys"]))
        answers.add((known.name, keys))
        if not headings.missing(row["value"]):
            made.problems += _coefficient_wrong(row, made.coefficients)
            made.coefficients.append({**row, "keys": keys, "year": row["source_year"]})


def _coefficient_wrong(row: Mapping[str, str], before: Iterable[Mapping[str, str]]) -> Iterable[Problem]:
    """What is wrong with a coefficient: as in a user's table, and that it stands twice or without its source."""
    keys = _keys_of(row["keys"])
    yield from _uncited(row, "coefficients")
    cells = {name: row[name] for name in ("value", "unit", "source")}
    yield from tables.filled(row["coefficient"], cells | keys, row["where"])[1]
    for one in before:
        if (one["coefficient"], one["keys"]) == (row["coefficient"], _key_text(keys)):
            facts: dict[str, Fact] = {"keys": one["keys"] or one["coefficient"], "earlier": one["where"]}
            yield Problem("table-row-twice", row["where"], facts)


def merge(found: Check, out: Path) -> list[Path]:
    """Write the numbers as one table that a stack reads, prices and coefficients into a folder beside it; the paths.

    The folder (`<name>_coefficients`): its rows come before the shipped ones (`--coefficients`).
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(out, _LONG, found.lines)
    given = [*found.prices, *found.coefficients]
    if not given:
        return [out]
    folder = out.with_name(f"{out.stem}_coefficients")
    folder.mkdir(exist_ok=True)
    ids = {text: f"{out.stem}_{i}" for i, text in enumerate(dict.fromkeys(row["source"] for row in given), 1)}
    said = [row | {"source": ids[row["source"]], "verified": "secondhand"} for row in given]
    if found.prices:
        _write(folder / "prices.csv", _PRICE_TABLE, [row for row in said if "price" in row])
    for name in dict.fromkeys(row["coefficient"] for row in found.coefficients):
        rows = [row | _keys_of(row["keys"]) for row in said if row.get("coefficient") == name]
        keys = dict.fromkeys(key for row in rows for key in _keys_of(row["keys"]))
        _write(folder / f"{name}.csv", (*keys, *_TABLE), rows)
    _write(folder / "sources.csv", _SOURCES, [{"id": key, "title": text} for text, key in ids.items()])
    return [out, folder]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        lines = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)


def table(found: Check, lang: Lang) -> list[tuple[str, ...]]:
    """Who is late: by bureau and quantity, how many zones have answered and which have not. The head comes first."""
    heads = ("form-bureau", "form-quantity", "form-answered", "form-missing")
    rows = [tuple(words.say(key, lang) for key in heads)]
    for late in sorted(found.late, key=lambda one: _FORMS.index(one.bureau)):
        names = ", ".join(names.get(lang) or next(iter(names.values()), "") for names in late.missing)
        text = names and (words.say("form-optional", lang) + " " if late.optional else "") + names
        name = f"{getattr(quantities()[late.quantity], lang)} {late.quantity}"
        name += f" · {words.say('form-parts', lang)}" if late.below else ""
        rows.append((_bureau(late.bureau, lang), name, f"{late.answered}/{late.of}", text or "–"))
    return rows


def as_dict(found: Check, lang: Lang) -> dict[str, Any]:
    """For JSON."""
    late = [
        {
            "bureau": one.bureau, "quantity": one.quantity, "answered": one.answered, "of": one.of,
            "missing": [names.get(lang, "") for names in one.missing], "optional": one.optional, "below": one.below,
        }
        for one in found.late
    ]  # fmt: skip
    problems = [p.as_dict() | {"text": words.problem(p, lang)} for p in found.problems]
    return {"late": late, "problems": problems, "values": found.lines, "coefficients": found.coefficients}
