"""The SEEA EA accounts as tables: a workbook, a folder of CSV, or a page of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gep import economy, exports, readings, words
from gep.errors import GepError, Problem
from gep.exports import Cell, Page
from gep.ledger import decimal_text, short
from gep.quantities import quantities
from gep.seea import NET, Accounts, Areas, Asset, Extent, Flow, Zone, whole
from gep.tables import ecosystem_types
from gep.words import Lang

_CAUSES: Final = (economy.MANAGED, economy.UNKNOWN, NET)
_KM2: Final = Decimal(10**6)
_WAN: Final = Decimal(10**6)  # fen in 万元: an exact decimal of six places

Row = list[Cell]


def write(found: Accounts, out: Path, lang: Lang) -> list[Path]:
    """Write a workbook where `out` ends in .xlsx, else a folder of CSV; the files written."""
    made = pages(found, lang)
    if out.suffix.lower() == ".xlsx":
        exports.book(made, out)
        return [out]
    if out.suffix:
        raise GepError([Problem("seea-out", str(out), {"suffix": out.suffix})])
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"{key}.csv" for key in _keys(made, lang)]
    for file, page in zip(files, made, strict=True):
        exports.write(page.columns, page.rows, file, "csv")
    return files


def _keys(made: Sequence[Page], lang: Lang) -> list[str]:
    """Names of files: the same in every language."""
    known = {words.say(f"seea-{key}", lang): key for key in _TABLES}
    return [known[page.name].replace("-", "_") for page in made]


def pages(found: Accounts, lang: Lang) -> list[Page]:
    """Every table that has rows, and last what must be known of them."""
    made = []
    for key, (make, fixed) in _TABLES.items():
        head, rows = make(found, lang)
        if rows:
            made.append(Page(words.say(f"seea-{key}", lang), head, [list(map(_plain, row)) for row in rows], fixed))
    return made


def _plain(cell: Cell) -> Cell:
    """A number in its one spelling: 903.2 and not 903.200000."""
    return Decimal(decimal_text(cell)) if isinstance(cell, Decimal) else cell


# ---------------------------------------------------------------- words


def _say(key: str, lang: Lang, **facts: Any) -> str:
    return words.say(f"seea-{key}", lang, **facts)


def _type(ecosystem: str, lang: Lang) -> str:
    """An ecosystem type as people name it; what is of none."""
    known = ecosystem_types().get(ecosystem)
    return getattr(known, lang) if known else _say("no-class" if ecosystem == economy.UNCLASSIFIED else "no-type", lang)


def _zone(found: Accounts, code: str, lang: Lang) -> str:
    return found.names.get(code, {}).get(lang, code) if code else _say("all-zones", lang)


def _title(found: Accounts, flow: Flow | Asset, lang: Lang) -> str:
    titles: Mapping[str, Mapping[str, str]] = found.place.run.recorded.get("services", {})
    return titles.get(flow.service, {}).get(lang, flow.service)


def _item(flow: Flow, lang: Lang) -> str:
    known = quantities().get(flow.item)
    return getattr(known, lang) if known else flow.item


# ---------------------------------------------------------------- extent and condition


def _types_of(areas: Iterable[Areas | None]) -> list[str]:
    return sorted({ecosystem for one in areas for ecosystem, area in (one or {}).items() if area})


def _km2(areas: Areas, types: Sequence[str]) -> Row:
    """Areas of the types and their sum, km²."""
    return [*(Decimal(areas.get(e, 0)) / _KM2 for e in types), Decimal(sum(areas.values())) / _KM2]


def _extent(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    extents = [(zone, zone.extent) for zone in found.zones if zone.extent is not None]
    types = _types_of(areas for _, one in extents for areas in (one.opening, one.closing))
    head = [
        *(_say(name, lang) for name in ("zone", "line", "unit")),
        *(_type(e, lang) for e in types),
        _say("all", lang),
    ]
    rows = [
        [_zone(found, zone.code, lang), _say(line, lang, **_years(found)), "km²", *_km2(areas, types)]
        for zone, one in extents
        for line, areas in extent_lines(one)
    ]
    return head, rows


def _years(found: Accounts) -> dict[str, str]:
    return {"year": found.place.year, "since": found.before.year if found.before else ""}


def extent_lines(one: Extent) -> Iterator[tuple[str, Areas]]:
    """The lines of an extent account in their order, with their areas; the closing alone where nothing opened it."""
    if one.opening is not None:
        yield "opening", one.opening
        for side, changes in (("addition", one.additions), ("reduction", one.reductions)):
            yield from ((f"{side}-{cause}", changes[cause]) for cause in _CAUSES if cause in changes)
        every = dict.fromkeys([*one.opening, *one.closing])
        yield "net-change", {e: one.closing.get(e, 0) - one.opening.get(e, 0) for e in every}
    yield "closing", one.closing


def _matrix(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    known = [(zone, zone.extent.matrix) for zone in found.zones if zone.extent and zone.extent.matrix]
    types = _types_of(row for _, matrix in known for row in (dict.fromkeys(matrix, 1), *matrix.values()))
    head = [
        _say("zone", lang),
        _say("from", lang, **_years(found)),
        *(_type(e, lang) for e in types),
        _say("all", lang),
    ]
    rows: list[Row] = [
        [_zone(found, zone.code, lang), _type(old, lang), *_km2(matrix[old], types)]
        for zone, matrix in known
        for old in types
        if old in matrix
    ]
    return head, rows


def _condition(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    names = ("zone", "indicator", "unit", "ecosystem", "opening", "closing", "change", "known-since", "known-year")
    head = [_say(name, lang, **_years(found)) for name in names]
    rows: list[Row] = []
    for zone in found.zones:
        for one in zone.conditions:
            known = quantities()[one.indicator]
            said = [_zone(found, zone.code, lang), getattr(known, lang), known.unit, _type(one.ecosystem, lang)]
            figures = [_at_opening(found, one.opening, lang), _or_missing(one.closing, lang)]
            areas = [one.opening_km2 if found.before else None, one.closing_km2]
            rows.append([*said, *figures, _at_opening(found, one.change, lang), *areas])
    return head, rows


def _or_missing(cell: Cell, lang: Lang) -> Cell:
    """A figure, or that it is missing."""
    return words.say("dual-missing", lang) if cell is None else cell


def _at_opening(found: Accounts, cell: Cell, lang: Lang) -> Cell:
    """A figure that there would be if all were known; nothing where no year opens the accounts."""
    return _or_missing(cell, lang) if found.before else None


# ---------------------------------------------------------------- supply and use


def _types_supplied(found: Accounts) -> list[str]:
    return sorted({e for zone in found.zones for flow in zone.flows for e in (*flow.supply, *flow.lacking)})


def _physical(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    types = _types_supplied(found)
    rows: list[Row] = []
    for zone in found.zones:
        for flow in zone.flows:
            said = _said(found, zone, flow, lang)
            rows.append([*said, flow.unit, *_balance(flow, (flow.supply, flow.use), types, lang)])
    return _head(types, ("unit",), lang), rows


def _monetary(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    types = _types_supplied(found)
    rows: list[Row] = []
    for zone in found.zones:
        own: list[Row] = []
        for flow in zone.flows:
            if flow.supply_fen is not None and flow.use_fen is not None:
                supply, use = (
                    {k: Decimal(v) / _WAN for k, v in one.items()} for one in (flow.supply_fen, flow.use_fen)
                )
                price = [flow.price, flow.price_unit]
                own.append([*_said(found, zone, flow, lang), *price, *_balance(flow, (supply, use), types, lang)])
        rows += [*own, *([_total(found, zone, own, lang)] if own else [])]
    return _head(types, ("price", "price-unit"), lang), rows


def _total(found: Accounts, zone: Zone, own: Sequence[Row], lang: Lang) -> Row:
    """The sums of a zone's rows, of what is known: as partial where something is not."""
    unknown = _unknown(zone)
    sums = [_column(column) for column in zip(*(row[5:-2] for row in own), strict=True)]
    label = _say("all-services", lang) + _partial(found, unknown, lang)
    return [_zone(found, zone.code, lang), label, "", None, "", *sums, Decimal(unknown), None]


def _unknown(zone: Zone) -> int:
    """How many leaves that have a price have no quantity."""
    return sum(flow.unknown for flow in zone.flows if flow.supply_fen is not None)


def _column(cells: Sequence[Cell]) -> Cell:
    """The sum of a column's figures; what it says where none is one."""
    known = [cell for cell in cells if isinstance(cell, Decimal)]
    return sum(known, Decimal(0)) if known else next((cell for cell in cells if cell is not None), None)


def _partial(found: Accounts, unknown: int, lang: Lang) -> str:
    """The mark of a sum that lacks something; "" of one that is whole."""
    if unknown:
        return _say("partial", lang, count=unknown)
    return _say("partial-account", lang) if found.partial else ""


def _head(types: Sequence[str], more: Sequence[str], lang: Lang) -> list[str]:
    said = [_say(name, lang) for name in ("zone", "service", "item", *more)]
    supplied = [_say("supplied-by", lang, name=_type(e, lang)) for e in types]
    used = [_say("used-by", lang, name=_say(f"user-{user}", lang)) for user in economy.USERS]
    gaps = [_say("unknown", lang), _say("missing-area", lang)]
    return [*said, *supplied, _say("supply", lang), *used, _say("use", lang), *gaps]


def _said(found: Accounts, zone: Zone, flow: Flow, lang: Lang) -> Row:
    return [_zone(found, zone.code, lang), _title(found, flow, lang), _item(flow, lang)]


def _balance(
    flow: Flow, sides: tuple[Mapping[str, Decimal], Mapping[str, Decimal]], types: Sequence[str], lang: Lang
) -> Row:
    """What each type supplies and their sum, what each unit uses and their sum, and how much of it is not known.

    Empty where there is nothing; said to be missing where there is something and nobody knows how much.
    """
    supply, use = sides
    by = economy.use(flow.service, flow.item)
    users = by.shares if by else {}
    lacks = words.say("dual-missing", lang)
    sums = [sum(part.values(), Decimal(0)) if part else lacks for part in sides]
    supplied = (supply.get(e, lacks if e in flow.lacking else None) for e in types)
    used = (use.get(user, lacks if user in users else None) for user in economy.USERS)
    return [*supplied, sums[0], *used, sums[1], Decimal(flow.unknown), flow.missing_km2]


# ---------------------------------------------------------------- assets

_CHANGES: Final = ("asset-opening", "volume", "revaluation")
_GAPS: Final = ("unknown-since", "unknown-year", "missing-since", "missing-year")


def _assets(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    names = ("zone", "service", "ecosystem", "flow", *_CHANGES, "asset-closing", *_GAPS)
    rows: list[Row] = []
    for zone in found.zones:
        name = _zone(found, zone.code, lang)
        for one in zone.assets:
            said = [name, _title(found, one, lang), _type(one.ecosystem, lang)]
            rows.append([*said, *_asset(found, one, lang), *_gaps(found, one)])
        if zone.assets:
            one = whole(zone.assets)
            label = _say("all-services", lang) + _partial(found, sum(one.unknown), lang)
            rows.append([name, label, "", *_asset(found, one, lang), *_gaps(found, one)[:2], None, None])
    return [_say(name, lang, **_years(found)) for name in names], rows


def _asset(found: Accounts, one: Asset, lang: Lang) -> Row:
    """Flow, opening, volume, revaluation, closing, in 10⁴ yuan; changes only where prices were brought together."""
    flow, opening, volume, revaluation, closing = (
        None if fen is None else Decimal(fen) / _WAN
        for fen in (one.flow, one.opening, one.volume, one.revaluation, one.closing)
    )
    changes: Row = [None, None]
    if found.wanted.prices is not None and not found.lacking:
        changes = [_at_opening(found, part, lang) for part in (volume, revaluation)]
    ends = [_or_missing(flow, lang), _at_opening(found, opening, lang), _or_missing(closing, lang)]
    return [*ends[:2], *changes, ends[2]]


def _gaps(found: Accounts, one: Asset) -> Row:
    """The leaves and the area that are not known, at the opening and at the closing."""
    counts, areas = [Decimal(count) for count in one.unknown], list(one.missing_km2)
    return [*counts, *areas] if found.before else [None, counts[1], None, areas[1]]


# ---------------------------------------------------------------- what must be known


def _notes(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    return [_say("notes", lang)], [[line] for line in notes(found, lang)]


def notes(found: Accounts, lang: Lang) -> list[str]:
    """Run, prices, how assets are valued, and what is missing."""
    run, worth = found.place.run, found.wanted.worth
    facts = {"title": run.title, "run": short(run.id), "profile": run.profile, **_years(found)}
    lines = [_say("note-run", lang, **facts)]
    notice = run.recorded.get("notice", {}).get(lang)
    lines += [f"※ {notice}"] if notice else []
    label = run.recorded.get("label", {}).get(lang)
    lines += [f"※ {label}"] if label else []
    lines += [_say("note-partial", lang)] if found.partial else []
    lines += [readings.heading(found.heading, lang) or _say("note-booked", lang)]
    lines += [line.strip() for line in readings.notes(found.heading, lang)]
    lines += [*_extent_notes(found, lang), _say("note-use", lang), _say("note-satellite", lang)]
    if worth:
        said = {"rate": f"{worth.rate:%}", "life": worth.life, "timing": _say(f"timing-{worth.timing}", lang)}
        lines.append(_say("note-worth", lang, factor=f"{float(worth.factor):.6g}", **said))
    else:
        lines.append(_say("note-no-worth", lang))
    unknown: Counter[str] = Counter()
    for flow in (f for zone in found.zones if zone.code for f in zone.flows if f.unknown):
        unknown[_item(flow, lang)] += flow.unknown
    items = words.listed((f"{item} {count}" for item, count in unknown.items()), lang)
    lines += [_say("note-unknown", lang, count=unknown.total(), items=items)] if unknown else []
    if any(any(one.unknown) for zone in found.zones for one in zone.assets):
        lines.append(_say("note-assets-unknown", lang))
    provisional = words.listed((_zone(found, code, lang) for code in found.provisional), lang)
    lines += [_say("note-provisional", lang, zones=provisional)] if provisional else []
    lines += [_say("note-unused", lang, services=", ".join(found.unused))] if found.unused else []
    return lines + [words.problem(p, lang) for p in found.lacking]


def _extent_notes(found: Accounts, lang: Lang) -> Iterator[str]:
    """Why the extent account is as it is."""
    changes = found.place.stocks.get("changes", {})
    if all(zone.extent is None for zone in found.zones):
        yield _say("note-no-extent" if found.wanted.level is None else "note-extent-level", lang)
    elif found.before is None:
        yield _say("note-no-opening", lang)
    elif changes.get("from") != found.before.year or "matrix" not in changes:
        yield _say("note-no-matrix", lang, **_years(found))
    elif any(zone.extent and zone.extent.matrix is None for zone in found.zones):
        yield _say("note-other-map", lang, run=short(found.before.run.id), **_years(found))
    else:
        yield _say("note-same-map" if changes.get("same_map") else "note-causes", lang)


_TABLES: Final = {
    "extent": (_extent, 2),
    "matrix": (_matrix, 2),
    "condition": (_condition, 2),
    "physical": (_physical, 3),
    "monetary": (_monetary, 3),
    "assets": (_assets, 3),
    "notes": (_notes, 0),
}


# ---------------------------------------------------------------- a page of text


def text(found: Accounts, lang: Lang) -> str:
    """Extent by main type, what is supplied and used in yuan, asset values, and the notes."""
    blocks = [
        words.columns(block, (0,)) for zone in found.zones for block in _blocks(found, zone, lang) if len(block) > 1
    ]
    return "\n\n".join([*blocks, "\n".join(notes(found, lang))])


def _blocks(found: Accounts, zone: Zone, lang: Lang) -> Iterator[list[list[str]]]:
    name = _zone(found, zone.code, lang)
    if zone.extent is not None:
        yield _extent_text(found, zone.extent, name, lang)
    yield _use_text(found, zone, name, lang)
    if zone.assets:
        one = whole(zone.assets)
        lines = zip(("flow", *_CHANGES, "asset-closing"), _figures(_asset(found, one, lang)), strict=True)
        mark = _partial(found, sum(one.unknown), lang)
        head = f"{name} · {_say('assets', lang)}{mark}"
        yield [[head, ""], *([_say(key, lang, **_years(found)), said] for key, said in lines if said)]


def _extent_text(found: Accounts, one: Extent, name: str, lang: Lang) -> list[list[str]]:
    """By main types (forest, not its kinds): changes among kinds of one type are no change of it."""
    extent = _main(one)
    types = _types_of((extent.opening, extent.closing))
    head = [f"{name} km²", *(_type(e, lang) for e in types), _say("all", lang)]
    lines = ([_say(line, lang, **_years(found)), *_figures(_km2(areas, types))] for line, areas in extent_lines(extent))
    return [head, *lines]


def _main(one: Extent) -> Extent:
    from gep.seea import by_matrix, by_net

    def rolled(areas: Areas) -> dict[str, int]:
        made: dict[str, int] = {}
        for ecosystem, area in areas.items():
            main = ecosystem.partition(".")[0]
            made[main] = made.get(main, 0) + area
        return made

    if one.opening is None or one.matrix is None:
        return Extent(rolled(one.closing)) if one.opening is None else by_net(rolled(one.opening), rolled(one.closing))
    matrix: dict[str, dict[str, int]] = {}
    for old, row in one.matrix.items():
        made = matrix.setdefault(old.partition(".")[0], {})
        for new, area in rolled(row).items():
            made[new] = made.get(new, 0) + area
    return by_matrix(matrix)


def _figures(cells: Iterable[Cell]) -> list[str]:
    return [f"{cell:,.2f}" if isinstance(cell, Decimal) else str(cell or "") for cell in cells]


def _use_text(found: Accounts, zone: Zone, name: str, lang: Lang) -> list[list[str]]:
    """Yuan by service and economic unit: what is known, and how many leaves are not."""
    sums: dict[str, dict[str, int]] = {}
    unknown: Counter[str] = Counter()
    for flow in zone.flows:
        if flow.use_fen is not None:
            of_service = sums.setdefault(_title(found, flow, lang), {})
            unknown[_title(found, flow, lang)] += flow.unknown
            for user, part in flow.use_fen.items():
                of_service[user] = of_service.get(user, 0) + part
    users = [user for user in economy.USERS if any(user in one for one in sums.values())]
    head = [f"{name} {_say('wan', lang)}", *(_say(f"user-{user}", lang) for user in users), _say("use", lang)]
    head.append(_say("unknown", lang) if any(unknown.values()) else "")
    rows = [[title, *_wan(one, users, lang), _count(unknown[title])] for title, one in sums.items()]
    total = {user: sum(one.get(user, 0) for one in sums.values()) for user in users}
    label = _say("all-services", lang) + _partial(found, _unknown(zone), lang)
    return [head, *rows, [label, *_wan(total, users, lang), _count(_unknown(zone))]] if sums else [head]


def _count(number: int) -> str:
    return str(number) if number else ""


def _wan(fens: Mapping[str, int], users: Sequence[str], lang: Lang) -> list[str]:
    """What units use and its sum in 10⁴ yuan; missing where nothing is known."""
    parts = (Decimal(fens[user]) / _WAN if user in fens else None for user in users)
    whole_sum = Decimal(sum(fens.values())) / _WAN if fens else words.say("dual-missing", lang)
    return _figures([*parts, whole_sum])
