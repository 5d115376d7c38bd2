"""The account: check, resolve, one pass over the pixels for each year, value, ledger.

Nothing stands under its final name before all of it is there: parts, maps and a new ledger are made in
`OUT/.run-<id>/` and renamed. A run that was killed is finished by the same call, without computing its parts again.
"""

from __future__ import annotations

import datetime as dt
import getpass
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pyproj
import rasterio
import shapely

from gep import __version__, engine, exports, gates, ledger, maps, prices, shipped, stack
from gep.engine import UNCLASSIFIED, Sums
from gep.errors import GepError, Problem, raise_all
from gep.fuse import LAND_COVER, chosen
from gep.ledger import Entry, Ledger, Run, door, fen
from gep.prepare import Inputs, Prepared, Request, Target, open_inputs, prepare, resolve_year
from gep.profile import Item, Service, within
from gep.quantities import quantities
from gep.resolve import Graph, walk
from gep.tables import Row

Progress = Callable[[str, int, int], None]

PROVISIONAL = 0.05  # a zone with a larger share of its area missing is provisional
_WORST = ("demo", "unverified", "secondhand", "derived", "quoted")
# What the numbers depend on beside this program.
_LIBRARIES = ("numpy", "numba", "rasterio", "pyproj", "shapely", "pyogrio")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run, which changes no number."""

    out: Path
    ledger: str | None = None
    maps: bool = True
    partial: bool = False
    workers: int | None = None
    scheduler: str | None = None
    block: int | None = None
    supersede: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What is decided of one item (or of a service without one) in one year, before any pixel is read."""

    service: Service
    item: Item | None
    status: str
    reason: tuple[Problem, ...] = ()
    price: prices.Price | None = None

    @property
    def key(self) -> str:
        """The output that counts it."""
        return f"{self.service.id}|{self.item.quantity if self.item else ''}"


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything opened, and what will be accounted in each year."""

    inputs: Inputs
    lines: Mapping[str, tuple[Line, ...]]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Mandatory services that some year lacks."""
        missing = {
            line.service.id: None
            for lines in self.lines.values()
            for line in lines
            if line.status == "left_out" and line.service.mandatory
        }
        return tuple(missing)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished account and where its files are."""

    run: Run
    database: str
    files: tuple[Path, ...] = field(default=())


def check(request: Request, *, partial: bool = False) -> Checked:
    """Open everything and decide every line; all problems are raised at once.

    A service whose inputs or price cannot be resolved is left out with its reasons; if the profile calls it mandatory
    and `partial` is not given, the reasons are problems.
    """
    inputs = open_inputs(request)
    lines = {year: tuple(_lines(inputs, year)) for year in inputs.years}
    problems = {
        (p.code, p.where): p
        for of_year in lines.values()
        for line in of_year
        if line.status == "left_out" and line.service.mandatory and not partial
        for p in line.reason
    }
    raise_all([*problems.values(), *_unknown_codes(inputs)])
    return Checked(inputs, lines)


def _lines(inputs: Inputs, year: str) -> Iterator[Line]:
    """The year's lines in the profile's order."""
    wanted = [i.quantity for s in inputs.profile.services.values() if s.status != "not_applicable" for i in s.items]
    graph, broken = resolve_year(inputs, year, dict.fromkeys(wanted))
    for service in inputs.profile.services.values():
        if service.status == "not_applicable":
            yield Line(service, None, "not_applicable")
        elif not service.items:
            yield Line(service, None, "left_out", (Problem("service-without-method", service.id),))
        for item in service.items if service.status != "not_applicable" else ():
            yield _line(inputs, year, service, item, graph, broken.get(item.quantity, ()))


def _line(inputs: Inputs, year: str, service: Service, item: Item, graph: Graph, missing: tuple[Problem, ...]) -> Line:
    """One item: counted, physical only, or left out for a reason."""
    if not missing and graph.nodes[item.quantity].level != "pixel":
        missing = (Problem("zone-level-quantity", service.id, {"quantity": item.quantity}),)
    if missing:
        return Line(service, item, "left_out", missing)
    if service.id in inputs.stack.unvalued or item.price is None:
        return Line(service, item, "unvalued")
    try:
        return Line(service, item, service.status, price=prices.price(inputs, item.price, year))
    except GepError as error:
        return Line(service, item, "left_out", error.problems)


def _unknown_codes(inputs: Inputs) -> Iterator[Problem]:
    """Codes in the class rasters that their legends do not have."""
    for name, codes in inputs.codes.items():
        for year in inputs.years:
            source = inputs.stack.source(name, year, codes)
            unknown = stack.unknown_codes(source)
            if unknown:
                shown = ", ".join(f"{code} ({count})" for code, count in sorted(unknown.items())[:20])
                where = source.bands[0].path
                facts = {"layer": name, "codes": shown, "legend": inputs.legends[name].name}
                yield Problem("class-codes-unknown", where, facts)


def account(request: Request, options: Options, progress: Progress = lambda *_: None) -> Outcome:
    """From a stack to a ledger. Raises GepError with all problems; then nothing stands under a final name."""
    database = options.ledger or str(options.out / "ledger.sqlite")
    checked = check(request, partial=options.partial)
    with _room(options, database):
        prepared = {y: prepare(checked.inputs, y, _targets(checked, y, options), options.block) for y in checked.lines}
        determined = _determined(checked, prepared)
        spool = options.out / f".run-{ledger.run_id(determined)[:16]}"
        sums = {year: _sums(p, spool / label(year), options, progress) for year, p in prepared.items()}
        _refuse(checked.inputs, prepared, sums, spool)
        made = _maps(checked, prepared, spool, options, progress) if options.maps else []
        run = _commit(checked, prepared, sums, determined, (database, options.supersede))
        files = [_final(path, options.out / "maps" / path.name) for path in made]
        files.append(options.out / "ledger.csv")
        with Ledger.open(database, create=False) as opened:
            exports.export(opened, files[-1], "csv", run=run.id)
        for left in options.out.glob(".run-*"):  # also what a killed run of other inputs left behind
            shutil.rmtree(left)
    return Outcome(run, database, tuple(files))


def plan_id(checked: Checked) -> str:
    """The id that an account of this would have."""
    lines = {year: prepare(checked.inputs, year, _targets(checked, year, Options(Path()))) for year in checked.lines}
    return ledger.run_id(_determined(checked, lines))


@contextmanager
def _room(options: Options, database: str) -> Iterator[None]:
    """The output folder for one account alone, and a ledger that can be opened; both before any pixel is read."""
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(options.out / ".lock", timeout=0)
        lock.acquire()
    except filelock.Timeout as error:
        raise GepError([Problem("out-busy", str(options.out))]) from error
    except OSError as error:
        raise GepError([Problem("out-unusable", str(options.out), {"reason": error.strerror or str(error)})]) from error
    try:
        with Ledger.open(database) as opened:
            if options.supersede:
                opened.find(options.supersede)
        yield
    finally:
        lock.release()
        (options.out / ".lock").unlink(missing_ok=True)
        if not any(options.out.iterdir()):
            options.out.rmdir()


def _refuse(inputs: Inputs, prepared: Mapping[str, Prepared], sums: Mapping[str, Sums], spool: Path) -> None:
    """Raise what the gates find impossible, and leave nothing behind."""
    found = [p for year, one in prepared.items() for p in gates.problems(inputs, one.plan, year, sums[year])]
    if found:
        shutil.rmtree(spool)
    raise_all(found)


def _final(path: Path, final: Path) -> Path:
    """Give a finished file its final name."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.replace(final)
    except OSError as error:  # on Windows a map that another program has open
        raise GepError([Problem("file-in-use", str(final), {"reason": error.strerror or str(error)})]) from error
    return final


def _targets(checked: Checked, year: str, options: Options) -> list[Target]:
    """What one pass sums and maps: every item that is accounted, and what the gates want to know."""
    found: dict[str, Target] = {}
    mapped: set[str] = set()
    for line in checked.lines[year]:
        if line.item and line.status != "left_out":
            quantity = line.item.quantity
            found[line.key] = Target(
                line.key, quantity, line.service.ecosystems, options.maps and quantity not in mapped
            )
            mapped.add(quantity)
    return [*found.values(), *gates.targets(checked.inputs, year, found.values())]


@contextmanager
def executor(options: Options) -> Iterator[tuple[Executor, int]]:
    """The executor to run on, and how many windows it works on at once."""
    if options.scheduler:
        with _client(options.scheduler) as client:
            yield client.get_executor(), sum(client.nthreads().values()) or 1
    else:
        workers = options.workers or os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            yield pool, workers


def _client(address: str) -> Any:
    """A client of a dask scheduler; a problem if it does not answer or dask.distributed is not installed."""
    try:
        from distributed import Client

        return Client(address)  # type: ignore[no-untyped-call]
    except (ImportError, OSError) as error:
        raise GepError([Problem("scheduler-unreachable", address, {"reason": str(error)})]) from error


def _sums(prepared: Prepared, spool: Path, options: Options, progress: Progress) -> Sums:
    """One year's pass."""
    spool.mkdir(parents=True, exist_ok=True)
    plan = replace(prepared.plan, spool=spool)
    of = plan.grid.count(*plan.block)
    with executor(options) as (pool, workers):
        return engine.run(plan, pool, workers, lambda done: progress(spool.name, done, of))


def label(year: str) -> str:
    """A year's label as part of a file's name, on any system.

    >>> label("1961-1990 normals"), label("../1961:1990")
    ('1961-1990_normals', '1961_1990')
    """
    return re.sub(r"[^\w-]+", "_", year).strip("_") or "period"


def _maps(
    checked: Checked, prepared: Mapping[str, Prepared], spool: Path, options: Options, progress: Progress
) -> list[Path]:
    """Every map of every year, assembled from the parts, in parallel, still under the spool folder."""
    jobs = [(year, key) for year, one in prepared.items() for key in one.plan.mapped]
    run = ledger.run_id(_determined(checked, prepared))
    folder = spool / "maps"
    folder.mkdir(parents=True, exist_ok=True)

    def make(job: tuple[str, str]) -> Path:
        year, key = job
        plan, quantity = prepared[year].plan, key.rpartition("|")[2]
        out = folder / f"{quantity}_{label(year)}.tif"
        tags = map_tags(checked.inputs, prepared[year].graph, quantity, year) | {"run": run}
        maps.assemble(spool / label(year), plan.grid, list(plan.windows()), key, out, tags, maps.style(quantity))
        return out

    made = []
    with ThreadPoolExecutor(options.workers or os.cpu_count() or 1) as pool:
        for done, path in enumerate(pool.map(make, jobs), 1):
            made += [path, *([path.with_suffix(".qml")] if path.with_suffix(".qml").exists() else [])]
            progress("maps", done, len(jobs))
    return made


def map_tags(inputs: Inputs, graph: Graph, quantity: str, year: str) -> dict[str, str]:
    """What a map says of itself."""
    row = quantities()[quantity]
    node = graph.nodes[quantity]
    tags = {
        "long_name": row.en,
        "long_name_zh": row.zh,
        "units": row.unit,
        "year": year,
        "method": node.method or node.via,
    }
    source = chosen(node).source if node.via == "formula" else ""
    notice = inputs.stack.notice or {}
    return (
        tags
        | {"source": f"{inputs.stack.title}; {source}", "program": f"gep {__version__}"}
        | ({"notice": notice["en"], "notice_zh": notice["zh"]} if notice else {})
    )


def _determined(checked: Checked, prepared: Mapping[str, Prepared]) -> dict[str, Any]:
    """All that determines the numbers and what is said beside them: what the run's id hashes.

    Not in it: paths, time, workers, windows, maps, statistics that only stand beside, the order of anything.
    """
    inputs = checked.inputs
    return {
        "program": [__version__, shipped.program()],
        "libraries": _libraries(),
        "profile": inputs.profile.id,
        "notice": dict(inputs.stack.notice or {}),
        "unvalued": dict(inputs.stack.unvalued),
        "years": {year: _year_determined(checked.lines[year], one) for year, one in prepared.items()},
    }


def _libraries() -> dict[str, str]:
    """What else computes: packages, and the GDAL, PROJ and GEOS inside them."""
    inside = {"gdal": rasterio.__gdal_version__, "proj": pyproj.proj_version_str, "geos": shapely.geos_version_string}
    return inside | {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _year_determined(lines: Sequence[Line], prepared: Prepared) -> dict[str, Any]:
    nodes = prepared.graph.nodes.values()
    priced = {
        line.key: [line.price.method, repr(line.price.value), *map(_row, line.price.rows)]
        for line in lines
        if line.price
    }
    return {
        "graph": [[n.name, n.via, n.method, *n.args] for n in nodes],
        **engine.identity(prepared.plan),
        "coefficients": {name: [_row(r) for r in lookup.used] for name, lookup in prepared.plan.lookups.items()},
        "prices": priced,
        "lines": [_decided(line) for line in lines],
    }


def _decided(line: Line) -> list[Any]:
    """What was decided of a line, as the ledger will show it."""
    service, item = line.service, line.item
    return [
        line.key,
        line.status,
        service.cls,
        service.mandatory,
        item.floor if item else "",
        [p.code for p in line.reason],
    ]


def _row(row: Row) -> list[str]:
    """A row as evidence, its figures in the vocabulary's unit; not where it stands."""
    unit = quantities()[row.quantity].unit  # of the figures; `row.unit` is the printed one
    figures = [repr(row.value), repr(row.low), repr(row.high), unit, row.unit]
    cited = [row.source, row.clause, row.year, row.region, row.verified, row.note, row.price_year, row.index]
    return [row.quantity, row.set, *row.keys, *figures, *cited]


def _commit(
    checked: Checked,
    prepared: Mapping[str, Prepared],
    sums: Mapping[str, Sums],
    determined: dict[str, Any],
    ledger_and_old: tuple[str, str | None],
) -> Run:
    """Value the sums and append run and entries, in one transaction."""
    inputs = checked.inputs
    entries = [e for year, p in prepared.items() for e in _entries(checked, year, p, sums[year])]
    run = Run(
        id=ledger.run_id(determined),
        profile=inputs.profile.id,
        title=inputs.stack.title,
        years=inputs.years,
        determined=determined,
        recorded={**_recorded(checked, prepared, sums), "sources": _publications(inputs, determined)},
    )
    database, old = ledger_and_old
    with Ledger.open(database) as opened:
        replaced = opened.find(old).id if old else None
        return opened.append(replace(run, supersedes=replaced), entries)


def _recorded(checked: Checked, prepared: Mapping[str, Prepared], sums: Mapping[str, Sums]) -> dict[str, Any]:
    """What stands beside the numbers: when, who, where, warnings, cross-validation, zone areas."""
    inputs = checked.inputs
    warnings = {
        year: [
            {"code": w.code, "where": w.where, "facts": dict(w.facts)}
            for w in gates.warnings(inputs, p, year, sums[year])
        ]
        for year, p in prepared.items()
    }
    return {
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "who": _who(),
        "host": platform.node(),
        "stack": str(inputs.stack.path),
        "notice": dict(inputs.stack.notice or {}),
        "notes": {service: dict(pair) for service, pair in inputs.stack.notes.items()},
        "partial": bool(checked.left_out),
        "left_out": list(checked.left_out),
        "label": dict(inputs.profile.label),
        "period": inputs.stack.period,
        "zone_areas": {z.code: z.area_m2 for z in inputs.zones.zones},
        "zone_names": {z.code: dict(z.name) for z in inputs.zones.zones},
        "services": {s.id: dict(s.title) for s in inputs.profile.services.values()},
        "gdp": {year: _beside(inputs, "gdp", year) for year in prepared},
        "derived": {year: dict(p.derived) for year, p in prepared.items()},
        "nonfinite": {year: _nonfinite(p, sums[year]) for year, p in prepared.items()},
        "warnings": warnings,
        "floored": {k: v for year, p in prepared.items() for k, v in _floored(checked, year, p, sums[year])},
        "controls": {k: v for year, p in prepared.items() for k, v in _controls(checked, year, p, sums[year])},
    }


def _publications(inputs: Inputs, determined: object) -> dict[str, list[str]]:
    """Title, publisher, number and year of every source that what determined the run names, as they are today."""
    known = inputs.publications
    named = {name: known[name] for name in sorted(set(_strings(determined))) if name in known}
    return {name: [one.title, one.publisher, one.number, one.year] for name, one in named.items()}


def _strings(thing: object) -> Iterator[str]:
    if isinstance(thing, str):
        yield thing
    elif isinstance(thing, Mapping):
        yield from (text for part in thing.values() for text in _strings(part))
    elif isinstance(thing, Sequence):
        yield from (text for part in thing for text in _strings(part))


def _who() -> str:
    """The user's name; empty where the system knows none (a container's number without a name)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def _beside(inputs: Inputs, quantity: str, year: str) -> dict[str, dict[str, Any]]:
    """Each zone's figure of a statistic in the year; beside a reference period, its newest with its own year."""
    rows = sorted((s for s in inputs.stack.statistics if s.quantity == quantity), key=lambda s: s.year)
    fitting = (s for s in rows if inputs.stack.period or s.year == year)
    return {s.zone: {"value": repr(s.value), "year": s.year, "source": s.source} for s in fitting}


def _nonfinite(prepared: Prepared, sums: Sums) -> dict[str, int]:
    """How often each formula gave no finite number, which made the value missing."""
    return {name: int(n) for name, n in zip(prepared.plan.fused.formulas, sums.nonfinite, strict=False) if n}


@dataclass(frozen=True, slots=True)
class _Cells:
    """One item's totals by zone (0 outside) and ecosystem: quantity in its total unit, areas in m²."""

    quantity: np.ndarray[Any, np.dtype[np.float64]]
    valid: np.ndarray[Any, np.dtype[np.float64]]
    missing: np.ndarray[Any, np.dtype[np.float64]]


def _cells(prepared: Prepared, sums: Sums, line: Line) -> _Cells:
    """The sums of a line, floored as its item says; ecosystems out of scope have no area."""
    plan = prepared.plan
    at = [o.key for o in plan.outputs].index(line.key)
    outputs = len(plan.outputs)
    assert line.item is not None  # noqa: S101  (lines with sums have items)
    values = sums.values[1 + at] * quantities()[line.item.quantity].total_factor()
    scope = line.service.ecosystems
    inside = np.array([e == UNCLASSIFIED or within(scope, e) for e in plan.ecosystems])
    total, missing = sums.values[0] * inside, sums.values[1 + outputs + at]
    if line.item.floor == "ecosystem":
        values = np.where(values < 0, 0.0, values)
    return _Cells(values, np.maximum(total - missing, 0.0), missing)


def _controls(checked: Checked, year: str, prepared: Prepared, sums: Sums) -> Iterator[tuple[str, str]]:
    for line in checked.lines[year]:
        if line.item and line.status != "left_out":
            whole = math.fsum(_cells(prepared, sums, line).quantity.flat)
            yield f"{year}|{line.key}", ledger.decimal_text(door(whole))


def _floored(checked: Checked, year: str, prepared: Prepared, sums: Sums) -> Iterator[tuple[str, str]]:
    """What the floors of items took away (a negative amount), by year and item; nothing where no item has a floor."""
    for line in checked.lines[year]:
        if line.item and line.item.floor != "none" and line.status != "left_out":
            bare = replace(line, item=replace(line.item, floor="none"))
            lost = [math.fsum(_cells(prepared, sums, one).quantity.flat) for one in (bare, line)]
            yield f"{year}|{line.key}", ledger.decimal_text(door(lost[0] - lost[1]))


def _entries(checked: Checked, year: str, prepared: Prepared, sums: Sums) -> Iterator[Entry]:
    """A year's leaves: zone × ecosystem × item, and one line for each service that is not accounted."""
    for line in checked.lines[year]:
        if line.item is None or line.status == "left_out":
            yield _without_number(year, line)
            continue
        cells = _cells(prepared, sums, line)
        for z in range(cells.valid.shape[0]):
            share = _missing_share(cells, z)
            for e, ecosystem in enumerate(prepared.plan.ecosystems):
                if cells.valid[z, e] + cells.missing[z, e] > 0:
                    yield _entry(checked.inputs, year, prepared, line, (z, e, ecosystem, share), cells)


def _missing_share(cells: _Cells, zone: int) -> float:
    missing, valid = math.fsum(cells.missing[zone]), math.fsum(cells.valid[zone])
    return missing / (missing + valid) if missing else 0.0


def _entry(
    inputs: Inputs, year: str, prepared: Prepared, line: Line, at: tuple[int, int, str, float], cells: _Cells
) -> Entry:
    z, e, ecosystem, missing_share = at
    assert line.item is not None  # noqa: S101
    quantity = door(float(cells.quantity[z, e])) if cells.valid[z, e] > 0 else None
    zone = inputs.zones.zones[z - 1] if z else None
    rows = list(_rows_used(prepared, line.item.quantity, ecosystem)) + list(line.price.rows if line.price else ())
    provisional = "_provisional" if z and missing_share > PROVISIONAL else ""
    return Entry(
        year=year,
        zone_level=inputs.zones.level,
        zone=zone.code if zone else ledger.OUTSIDE,
        zone_name=zone.name.get("zh") or zone.name.get("en") or zone.code if zone else ledger.OUTSIDE,
        ecosystem=ecosystem,
        service=line.service.id,
        item=line.item.quantity,
        cls=line.service.cls,
        status=line.status + provisional,
        method=prepared.graph.nodes[line.item.quantity].method or prepared.graph.nodes[line.item.quantity].via,
        quantity=quantity,
        quantity_unit=quantities()[line.item.quantity].total_unit,
        **_priced(line.price, quantity),
        valid_area_km2=door(float(cells.valid[z, e]) / 1e6),
        missing_area_km2=door(float(cells.missing[z, e]) / 1e6),
        allocated=False,
        verified=next((v for v in _WORST if any(row.verified == v for row in rows)), ""),
        reason=inputs.stack.unvalued.get(line.service.id, ""),
        method_hash=_method_hash(prepared.graph, line.item.quantity),
    )


def _priced(price: prices.Price | None, quantity: Decimal | None) -> dict[str, Any]:
    """The money columns of an entry."""
    if price is None:
        empty = dict.fromkeys(("price", "value_fen", "low_fen", "high_fen"))
        return {**empty, "price_unit": "", "price_year": "", "price_inputs": "[]"}
    unit = door(price.value)
    ends = [
        None if math.isnan(end) or quantity is None else fen(quantity, door(end)) for end in (price.low, price.high)
    ]
    low, high = sorted(ends) if None not in ends else (None, None)  # type: ignore[type-var]
    return {
        "price": unit,
        "price_unit": price.unit,
        "price_year": price.year,
        "price_inputs": json.dumps([_row(row) for row in price.rows], ensure_ascii=False),
        "value_fen": None if quantity is None else fen(quantity, unit),
        "low_fen": low,
        "high_fen": high,
    }


def _rows_used(prepared: Prepared, quantity: str, ecosystem: str) -> Iterator[Row]:
    """The coefficient rows that an ecosystem's value rests on."""
    plan = prepared.plan
    at = plan.ecosystems.index(ecosystem)
    classes = [i for i, e in enumerate(plan.ecosystem_of[:-1]) if e == at]
    for _, node in walk(prepared.graph, quantity):
        if node.via == "table":
            found = plan.lookups[node.name]
            rows = found.rows[classes] if found.class_layer == LAND_COVER else found.rows
            yield from (found.used[i] for i in np.unique(rows[rows >= 0]))


def _method_hash(graph: Graph, quantity: str) -> str:
    """The formulas and wiring of an item, hashed: two entries with one hash were computed the same way."""
    parts = [
        "|".join((n.name, n.via, n.method, *n.args, chosen(n).text if n.via == "formula" else ""))
        for n in graph.of([quantity]).nodes.values()
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _without_number(year: str, line: Line) -> Entry:
    """The one line of a service (or item) that is left out or not applicable."""
    found = [p.as_dict() for p in line.reason if line.item]
    reason = found or dict(line.service.reason)
    return Entry(
        year=year,
        zone_level="",
        zone="",
        zone_name="",
        ecosystem="",
        service=line.service.id,
        item=line.item.quantity if line.item else "",
        cls=line.service.cls,
        status=line.status,
        method="",
        quantity=None,
        quantity_unit="",
        **_priced(None, None),
        valid_area_km2=Decimal(0),
        missing_area_km2=Decimal(0),
        allocated=False,
        verified="",
        reason=json.dumps(reason, ensure_ascii=False, sort_keys=True),
        method_hash="",
    )


def closure(checked: Checked) -> list[gates.Closure]:
    """The water balance of every zone and year that has a bulletin, from rain and evapotranspiration everywhere."""
    targets = [Target(gates.CHECK + name, name) for name in gates.BALANCE]
    rows = []
    for year in checked.inputs.years:
        plan = prepare(checked.inputs, year, targets).plan
        with executor(Options(Path())) as (pool, workers):
            rows += gates.closures(checked.inputs, plan, year, engine.run(plan, pool, workers))
    return rows


def single_map(
    request: Request, quantity: str, out: Path, workers: int | None = None, progress: Progress = lambda *_: None
) -> Path:
    """Any pixel quantity of the graph as a map, of the last of the request's years."""
    inputs = open_inputs(request)
    year = inputs.years[-1]
    graph, broken = resolve_year(inputs, year, [quantity])
    raise_all(broken.get(quantity, ()))
    row, node = quantities()[quantity], graph.nodes[quantity]
    no_year = node.steps > 1 and row.annual == "none"  # days of rain have no year's value
    if row.kind in ("class", "price") or node.level != "pixel" or no_year:
        raise GepError([Problem("not-a-map", quantity, {"quantity": quantity, "kind": quantities()[quantity].kind})])
    prepared = prepare(inputs, year, [Target(quantity, quantity, map=True)])
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=_folder(out)) as spool:
        named: Progress = lambda _, done, of: progress(quantity, done, of)  # noqa: E731
        _sums(prepared, Path(spool), Options(out, workers=workers), named)
        windows, tags = list(prepared.plan.windows()), map_tags(inputs, prepared.graph, quantity, year)
        maps.assemble(Path(spool), prepared.plan.grid, windows, quantity, out, tags, maps.style(quantity))
    return out


def _folder(out: Path) -> Path:
    if not out.parent.is_dir():
        raise GepError([Problem("out-unusable", str(out), {"reason": str(out.parent)})])
    return out.parent


def bundled(given: Path | None) -> Path:
    """The bundled stack: the one given, else the checkout's."""
    path = given or Path(__file__).parents[1] / "rasters" / "leshan" / "stack.toml"
    if not path.is_file():
        raise GepError([Problem("demo-stack-missing", str(path))])
    return path
