"""The SEEA EA accounts as tables: a workbook, a folder of CSV, or a page of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gep import economy, exports, readings, words
from gep.errors import GepError, Problem
from gep.exports import Cell, Page
from gep.ledger import decimal_text, short
from gep.quantities import quantities
from gep.seea import NET, Accounts, Areas, Asset, Extent, Flow, Zone
from gep.tables import ecosystem_types
from gep.words import Lang

_CAUSES: Final = (economy.MANAGED, economy.UNKNOWN, NET)
_UNCLASSIFIED: Final = "unclassified"
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
    return getattr(known, lang) if known else _say("no-class" if ecosystem == _UNCLASSIFIED else "no-type", lang)


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
    names = ("zone", "indicator", "unit", "ecosystem", "opening", "closing", "change", "known-area")
    head = [_say(name, lang, **_years(found)) for name in names]
    rows: list[Row] = []
    for zone in found.zones:
        for one in zone.conditions:
            known = quantities()[one.indicator]
            change = None if one.opening is None or one.closing is None else one.closing - one.opening
            said = [_zone(found, zone.code, lang), getattr(known, lang), known.unit, _type(one.ecosystem, lang)]
            rows.append([*said, one.opening, one.closing, change, one.area_km2])
    return head, rows


# ---------------------------------------------------------------- supply and use


def _types_supplied(found: Accounts) -> list[str]:
    return sorted({e for zone in found.zones for flow in zone.flows for e in flow.supply})


def _physical(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    types = _types_supplied(found)
    rows: list[Row] = []
    for zone in found.zones:
        for flow in zone.flows:
            said = _said(found, zone, flow, lang)
            rows.append([*said, flow.unit, *_balance(flow.supply, flow.use, types)])
    return _head(types, ("unit",), lang), rows


def _monetary(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    types = _types_supplied(found)
    rows: list[Row] = []
    for zone in found.zones:
        for flow in zone.flows:
            if flow.supply_fen is not None and flow.use_fen is not None:
                supply, use = (
                    {k: Decimal(v) / _WAN for k, v in one.items()} for one in (flow.supply_fen, flow.use_fen)
                )
                price = [flow.price, flow.price_unit]
                rows.append([*_said(found, zone, flow, lang), *price, *_balance(supply, use, types)])
        rows.append(_total(rows, _zone(found, zone.code, lang), lang))
    return _head(types, ("price", "price-unit"), lang), rows


def _total(rows: Sequence[Row], zone: str, lang: Lang) -> Row:
    own = [row[5:] for row in rows if row[0] == zone]
    sums = [
        sum((cell for cell in column if isinstance(cell, Decimal)), Decimal(0)) for column in zip(*own, strict=True)
    ]
    return [zone, _say("all-services", lang), "", None, "", *sums]


def _head(types: Sequence[str], more: Sequence[str], lang: Lang) -> list[str]:
    said = [_say(name, lang) for name in ("zone", "service", "item", *more)]
    supplied = [_say("supplied-by", lang, name=_type(e, lang)) for e in types]
    used = [_say("used-by", lang, name=_say(f"user-{user}", lang)) for user in economy.USERS]
    return [*said, *supplied, _say("supply", lang), *used, _say("use", lang)]


def _said(found: Accounts, zone: Zone, flow: Flow, lang: Lang) -> Row:
    return [_zone(found, zone.code, lang), _title(found, flow, lang), _item(flow, lang)]


def _balance(supply: Mapping[str, Decimal], use: Mapping[str, Decimal], types: Sequence[str]) -> Row:
    """What each type supplies and their sum, what each unit uses and their sum; empty where there is nothing."""
    sums = [sum(part.values(), Decimal(0)) if part else None for part in (supply, use)]
    return [*(supply.get(e) for e in types), sums[0], *(use.get(user) for user in economy.USERS), sums[1]]


# ---------------------------------------------------------------- assets


def _assets(found: Accounts, lang: Lang) -> tuple[list[str], list[Row]]:
    names = ("zone", "service", "ecosystem", "flow", "asset-opening", "volume", "revaluation", "asset-closing")
    rows: list[Row] = [
        [_zone(found, zone.code, lang), _title(found, one, lang), _type(one.ecosystem, lang), *_asset(one)]
        for zone in found.zones
        for one in zone.assets
    ]
    return [_say(name, lang, **_years(found)) for name in names], rows


def _asset(one: Asset) -> Row:
    fens = (one.flow, one.opening, one.volume, one.revaluation, one.closing)
    return [None if fen is None else Decimal(fen) / _WAN for fen in fens]


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
    lines += [_say("note-partial", lang)] if run.recorded.get("partial") else []
    lines += [readings.heading(found.heading, lang) or _say("note-booked", lang)]
    lines += [line.strip() for line in readings.notes(found.heading, lang)]
    lines += [*_extent_notes(found, lang), _say("note-use", lang), _say("note-satellite", lang)]
    if worth:
        said = {"rate": f"{worth.rate:%}", "life": worth.life, "timing": _say(f"timing-{worth.timing}", lang)}
        lines.append(_say("note-worth", lang, factor=f"{float(worth.factor):.6g}", **said))
    else:
        lines.append(_say("note-no-worth", lang))
    unknown = dict.fromkeys(_item(f, lang) for z in found.zones for f in z.flows if f.unknown)
    lines += [_say("note-unknown", lang, items=words.listed(unknown, lang))] if unknown else []
    lines += [_say("note-unused", lang, services=", ".join(found.unused))] if found.unused else []
    return lines + [words.problem(p, lang) for p in found.lacking]


def _extent_notes(found: Accounts, lang: Lang) -> Iterator[str]:
    """Why the extent account is as it is."""
    changes = found.place.stocks.get("changes", {})
    if all(zone.extent is None for zone in found.zones):
        yield _say("note-no-extent", lang)
    elif found.before is None:
        yield _say("note-no-opening", lang)
    elif changes.get("from") != found.before.year or "matrix" not in changes:
        yield _say("note-no-matrix", lang, **_years(found))
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
        names = ("flow", "asset-opening", "volume", "revaluation", "asset-closing")
        sums = [_sum(one) for one in zip(*map(_asset, zone.assets), strict=True)]
        lines = [[_say(k, lang, **_years(found)), v] for k, v in zip(names, sums, strict=True) if v]
        yield [[f"{name} · {_say('assets', lang)}", ""], *lines]


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
    return [f"{cell:,.2f}" if isinstance(cell, Decimal) else "" for cell in cells]


def _use_text(found: Accounts, zone: Zone, name: str, lang: Lang) -> list[list[str]]:
    """Yuan by service and economic unit."""
    sums: dict[str, dict[str, int]] = {}
    for flow in zone.flows:
        for user, part in (flow.use_fen or {}).items():
            of_service = sums.setdefault(_title(found, flow, lang), {})
            of_service[user] = of_service.get(user, 0) + part
    users = [user for user in economy.USERS if any(user in one for one in sums.values())]
    head = [f"{name} {_say('wan', lang)}", *(_say(f"user-{user}", lang) for user in users), _say("use", lang)]
    rows = [[title, *_figures(_wan(one, users))] for title, one in sums.items()]
    total = {user: sum(one.get(user, 0) for one in sums.values()) for user in users}
    return [head, *rows, [_say("all-services", lang), *_figures(_wan(total, users))]] if sums else [head]


def _wan(fens: Mapping[str, int], users: Sequence[str]) -> Row:
    return [*(Decimal(fens[u]) / _WAN if u in fens else None for u in users), Decimal(sum(fens.values())) / _WAN]


def _sum(parts: Sequence[Cell]) -> str:
    known = [part for part in parts if isinstance(part, Decimal)]
    return f"{sum(known, Decimal(0)):,.2f}" if known else ""
