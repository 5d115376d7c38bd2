"""The eco-product catalogue (生态产品目录清单): one product a zone and item, linked to the ledger's lines.

`products` reads a ledger alone; `write` adds the zones' shapes from the stack and makes a GeoPackage and a workbook.
What a ledger cannot know (quality grade, rights and their certificate, who manages it, protection, use, whether it may
be traded or mortgaged, realised income, contact) is left empty, to be filled in by the bureau.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gep import origins, panel, words
from gep.declaration import file_label
from gep.errors import Fact, Problem, raise_all
from gep.filling import Column, Table
from gep.filling import write as write_book
from gep.ledger import OUTSIDE, Ledger, Line, Run, short, yuan
from gep.panel import Case, Names, named
from gep.resolve import Graph
from gep.tables import ecosystem_types
from gep.words import LANGS, Lang

LAYER, LINES, FIELDS = "products", "ledger_lines", "fields"
_SHOWN: Final = ("counted", "satellite", "unvalued")
# The columns: those that the ledger fills with their widths, then those that a bureau fills.
_KNOWN: Final = {
    "code": 34, "class_1": 10, "class_2": 16, "class_3": 24, "zone": 10, "zone_name": 14, "survey_unit": 12,
    "ecosystem": 30, "area_km2": 12, "quantity": 18, "unit": 10, "year": 8, "price": 14, "price_unit": 12,
    "value_yuan": 20, "in_gep": 12, "method": 22, "run": 18, "lines": 16, "source": 26, "date": 12,
}  # fmt: skip
TO_FILL: Final = {
    "quality_grade": 12, "ownership": 14, "use_right": 14, "contract_right": 14, "certificate": 16, "manager": 16,
    "protection": 16, "use_status": 12, "tradable": 10, "mortgageable": 10, "realised_yuan": 14, "contact": 16,
}  # fmt: skip
_CHOICES: Final = ("protection", "use_status", "tradable", "mortgageable")


@dataclass(frozen=True, slots=True)
class Product:
    """A product: an item of a service in a zone and year.

    `quantity` and `value_fen` add up what its lines have, and are None where none has any; `lines` are the numbers of
    its lines in `run`, `area_km2` their area with data, `ecosystems` the types they are of. `status` is counted,
    satellite or unvalued; `source` names what statistics it rests on come from, else the stack.
    """

    code: str
    cls: str
    service: str
    service_name: Names
    item: str
    item_name: Names
    zone_level: str
    zone: str
    zone_name: Names
    ecosystems: tuple[str, ...]
    area_km2: Decimal
    quantity: Decimal | None
    unit: str
    year: str
    price: Decimal | None
    price_unit: str
    value_fen: int | None
    status: str
    method: str
    run: str
    lines: tuple[int, ...]
    source: str
    date: str


@dataclass(frozen=True)
class Catalogue:
    """The products of one run and year, the ledger lines they rest on, and what is not among them and why."""

    run: Run
    year: str
    level: str
    products: tuple[Product, ...]
    lines: tuple[Line, ...]
    outside: tuple[tuple[Names, str], ...]


def products(database: str, run: str = "", year: str = "", level: str = "") -> list[Product]:
    """The catalogue's rows from a ledger alone, in its order; of the latest year and the accounting units by default.

    Problems: no such ledger, run, year or level; several runs of the year and none named.
    """
    return list(catalogue(database, run, year, level).products)


def catalogue(database: str, run: str = "", year: str = "", level: str = "") -> Catalogue:
    """The same with its lines and what is out of scope."""
    case = panel.opened(panel.Asked(database, run, year))
    of_year = case.years[-1]
    lines = [one for one in case.lines if one.entry.year == of_year]
    left = [one for one in lines if one.entry.status in ("left_out", "not_applicable")]
    if level:
        lines = _at_level(case, of_year, level)
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for one in lines:
        e = one.entry
        kept = e.status.removesuffix("_provisional") in _SHOWN and e.zone not in ("", OUTSIDE) and e.cls != "deduction"
        if kept:
            groups.setdefault((e.zone, e.service, e.item), []).append(one)
    made = tuple(_product(case, of_year, of) for of in groups.values())
    used = tuple(one for of in groups.values() for one in of)
    first = {(x.entry.service, x.entry.item): x.entry.reason for x in left}
    outside = tuple((_full(case, *key), reason) for key, reason in first.items())
    return Catalogue(case.run, of_year, made[0].zone_level if made else level, made, used, outside)


def _at_level(case: Case, year: str, level: str) -> list[Line]:
    with Ledger.open(case.where, create=False) as opened:
        found = list(opened.lines(run=case.run.id, year=year, level=level))
    raise_all([] if found else [Problem("products-level-unknown", case.where, {"level": level})])
    return found


def _full(case: Case, service: str, item: str) -> Names:
    """A service with its item."""
    title, name = case.title(service), named(item) if item else {}
    return {lang: f"{title[lang]} · {name[lang]}" if item else title[lang] for lang in LANGS}


def _product(case: Case, year: str, lines: Sequence[Line]) -> Product:
    e = lines[0].entry
    amounts = [x.entry.quantity for x in lines]
    known = [a for a in amounts if a is not None]
    values = [x.entry.value_fen for x in lines if x.entry.value_fen is not None]
    prices = {x.entry.price for x in lines if x.entry.quantity is not None}
    types = dict.fromkeys(x.entry.ecosystem for x in lines if x.entry.ecosystem and x.entry.valid_area_km2)
    return Product(
        code=f"{e.zone}-{e.service}-{e.item}",
        cls=e.cls, service=e.service, service_name=case.title(e.service), item=e.item, item_name=named(e.item),
        zone_level=e.zone_level, zone=e.zone,
        zone_name=case.zones.get(e.zone) or {"zh": e.zone_name, "en": e.zone_name},
        ecosystems=tuple(types),
        area_km2=sum((x.entry.valid_area_km2 for x in lines), Decimal(0)),
        quantity=sum(known, Decimal(0)) if known else None, unit=e.quantity_unit, year=year,
        price=prices.pop() if len(prices) == 1 else None, price_unit=e.price_unit,
        value_fen=sum(values) if values else None, status=e.status.removesuffix("_provisional"), method=e.method,
        run=case.run.id, lines=tuple(x.number for x in lines), source=_source(case, year, e.item),
        date=str(case.recorded.get("when", ""))[:10],
    )  # fmt: skip


def _source(case: Case, year: str, item: str) -> str:
    """Where the statistics that an item rests on come from; the stack's title where it rests on none."""
    determined = case.determined(year)
    if "graph" not in determined:
        return case.run.title
    graph = Graph.of_run(determined)
    names = graph.of([item]).nodes if item in graph.nodes else {}
    given: Mapping[str, Sequence[Sequence[str]]] = determined.get("statistics", {})
    sources = dict.fromkeys(row[-1] for name in names for row in given.get(name, ()) if row[-1])
    return "; ".join(sources) or case.run.title


# ---------------------------------------------------------------- rows in a language


def _cells(product: Product, lang: Lang) -> dict[str, Any]:
    """A product's known columns: figures exact, names in a language."""
    types = ecosystem_types()
    return {
        "code": product.code, "class_1": words.say(f"list-class-{product.cls}", lang),
        "class_2": product.service_name[lang], "class_3": product.item_name[lang],
        "zone": product.zone, "zone_name": product.zone_name[lang], "survey_unit": product.zone_level,
        "ecosystem": words.listed((getattr(types[t], lang) if t in types else t for t in product.ecosystems), lang),
        "area_km2": product.area_km2, "quantity": product.quantity, "unit": product.unit, "year": product.year,
        "price": product.price, "price_unit": product.price_unit,
        "value_yuan": None if product.value_fen is None else yuan(product.value_fen),
        "in_gep": words.say(f"status-{product.status}", lang), "method": product.method, "run": short(product.run),
        "lines": ",".join(map(str, product.lines)), "source": product.source, "date": product.date,
    }  # fmt: skip


_LINKED: Final = {
    "code": 34, "run": 66, "line": 8, "year": 8, "zone": 12, "ecosystem": 28, "service": 24, "item": 26,
    "quantity": 18, "unit": 10, "price": 14, "value_yuan": 20,
}  # fmt: skip


def _linked(one: Line) -> dict[str, Any]:
    """A ledger line with the code of its product."""
    e = one.entry
    return {
        "code": f"{e.zone}-{e.service}-{e.item}", "run": one.run, "line": one.number, "year": e.year, "zone": e.zone,
        "ecosystem": e.ecosystem, "service": e.service, "item": e.item, "quantity": e.quantity, "unit": e.quantity_unit,
        "price": e.price, "value_yuan": None if e.value_fen is None else yuan(e.value_fen),
    }  # fmt: skip


# ---------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which stack and ledger, run, year ("" for the latest) and level ("" for the accounting units)."""

    stack: Path
    database: str
    run: str = ""
    year: str = ""
    level: str = ""


def write(asked: Asked, out: Path, lang: Lang) -> list[Path]:
    """Write the catalogue as GeoPackage and workbook into a folder; the paths.

    Problems: those of `products` and of the stack; zones of the ledger that the stack lacks, or with other borders.
    """
    found = catalogue(asked.database, asked.run, asked.year, asked.level)
    shapes, crs = _shapes(asked, found)
    out.mkdir(parents=True, exist_ok=True)
    stem = words.say("products-file", lang, year=file_label(found.year))
    return [
        _geopackage(out / f"{stem}.gpkg", found, (shapes, crs), lang),
        write_book(_tables(found, lang), out / f"{stem}.xlsx"),
    ]


def _shapes(asked: Asked, found: Catalogue) -> tuple[dict[str, bytes], str]:
    """The shape of every zone (WKB in the grid's CRS) and that CRS."""
    import shapely

    from gep.prepare import Request, open_inputs

    profile = found.run.recorded.get("request", {}).get("profile")
    inputs = open_inputs(Request(asked.stack, profile, (found.year,)))
    shapes = {zone.code: zone.wkb for zone in inputs.zones.zones}
    for level in (one for one in inputs.laid.levels if one.name == found.level):
        atoms = [shapely.from_wkb(zone.wkb) for zone in inputs.laid.atoms.zones]
        shapes |= {p.code: shapely.to_wkb(shapely.union_all([atoms[a - 1] for a in p.atoms])) for p in level.parts}
    raise_all(_strangers(asked, found, shapes))
    return shapes, inputs.stack.grid.crs


def _strangers(asked: Asked, found: Catalogue, shapes: Mapping[str, bytes]) -> Iterable[Problem]:
    """Zones that the stack lacks, or has with borders that the run did not account."""
    determined = found.run.determined
    recorded = determined.get("units") or determined.get("years", {}).get(found.year, {}).get("zones", {})
    for zone in dict.fromkeys(p.zone for p in found.products):
        facts: dict[str, Fact] = {"zone": zone, "run": short(found.run.id)}
        then = recorded.get(zone, [None, ""])[1]
        if zone not in shapes:
            yield Problem("products-zone-missing", str(asked.stack), facts)
        elif then and then != hashlib.sha256(shapes[zone]).hexdigest():
            yield Problem("products-borders-differ", str(asked.stack), facts)


def _geopackage(path: Path, found: Catalogue, drawn: tuple[Mapping[str, bytes], str], lang: Lang) -> Path:
    """Three tables: the products with their zones' shapes, the ledger lines, what the fields are."""
    from gep import borders

    shapes, crs = drawn
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    draft.unlink(missing_ok=True)
    try:
        with borders.written(draft):
            rows = [_cells(p, lang) | dict.fromkeys(TO_FILL) for p in found.products]
            _layer(draft, LAYER, [*_KNOWN, *TO_FILL], rows, ([shapes[p.zone] for p in found.products], crs))
            _layer(draft, LINES, list(_LINKED), [_linked(one) for one in found.lines])
            _layer(draft, FIELDS, ["field", "zh", "en"], [_field(name) for name in (*_KNOWN, *TO_FILL)])
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _field(name: str) -> dict[str, str]:
    return {"field": name} | {lang: words.say(f"products-{name}", lang) for lang in LANGS}


def _layer(
    path: Path,
    layer: str,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    drawn: tuple[Sequence[bytes], str] | None = None,
) -> None:
    import numpy as np
    import pyogrio.raw

    shapes = None if drawn is None else np.array(drawn[0], dtype=object)
    pyogrio.raw.write(
        path,
        shapes,
        [_array(column, [row[column] for row in rows]) for column in columns],
        list(columns),
        geometry_type=None if drawn is None else "Unknown",
        crs=None if drawn is None else drawn[1],
        driver="GPKG",
        layer=layer,
        append=path.exists(),
        dataset_options={"VERSION": "1.2"},  # older QGIS warns of newer ones
    )


_NUMBERS: Final = ("area_km2", "quantity", "price", "value_yuan", "realised_yuan")


def _array(column: str, values: Sequence[Any]) -> Any:
    """A column as GDAL takes it: numbers as doubles, whole numbers as such, all else as text; None is missing."""
    import numpy as np

    if column in _NUMBERS:
        return np.array([np.nan if v is None else float(v) for v in values], np.float64)
    if column == "line":
        return np.array(values, np.int64)
    return np.array(values, dtype=object)


def _tables(found: Catalogue, lang: Lang) -> list[Table]:
    title = words.say("products-title", lang, title=found.run.title, year=found.year, run=short(found.run.id))
    rows = [[*_cells(p, lang).values(), *[None] * len(TO_FILL)] for p in found.products]
    outside = [[names[lang], origins.left_reason(reason, lang)] for names, reason in found.outside]
    linked = [Column(words.say(f"products-{name}", lang), width) for name, width in _LINKED.items()]
    reasons = [Column(words.say(f"products-{name}", lang), width) for name, width in (("class_2", 40), ("reason", 110))]
    return [
        Table(words.say("products-sheet", lang), title, [*_known(lang), *_to_fill(lang)], rows),
        Table(
            words.say("products-sheet-lines", lang), title, linked, [list(_linked(one).values()) for one in found.lines]
        ),
        Table(words.say("products-sheet-outside", lang), title, reasons, outside),
    ]


def _known(lang: Lang) -> list[Column]:
    return [Column(words.say(f"products-{name}", lang), width) for name, width in _KNOWN.items()]


def _to_fill(lang: Lang) -> list[Column]:
    return [
        Column(words.say(f"products-{name}", lang), width, True, _choices(name, lang))
        for name, width in TO_FILL.items()
    ]


def _choices(name: str, lang: Lang) -> tuple[str, ...]:
    return tuple(words.say(f"products-{name}-choices", lang).split("|")) if name in _CHOICES else ()
