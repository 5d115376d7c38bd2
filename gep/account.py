"""The account: check, resolve, one pass over the pixels for each year, value, ledger.

Nothing stands under its final name before all of it is there: parts, maps and a new ledger are made in
`OUT/.run-<id>/` and renamed. A run that was killed is finished by the same call, without computing its parts again.
"""

from __future__ import annotations

import datetime as dt
import getpass
import hashlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import pyproj
import rasterio
import shapely

from gep import (
    __version__,
    allocation,
    borders,
    cluster,
    ecomap,
    engine,
    entries,
    exports,
    extent,
    gates,
    ledger,
    manifest,
    maps,
    plausibility,
    prices,
    qgis,
    rasters,
    shipped,
    stack,
    stocks,
    zonal,
)
from gep.declaration import file_label
from gep.engine import Sums
from gep.entries import Accounted, Line, evidence, output_key
from gep.errors import Fact, GepError, Problem, raise_all
from gep.fuse import chosen
from gep.ledger import Entry, Ledger, Run
from gep.prepare import NORMAL_CLIMATE, Inputs, Prepared, Request, Target, open_inputs, prepare, resolve_year
from gep.profile import POPULATION, Item, Service
from gep.quantities import quantities
from gep.resolve import Graph, bare, ways
from gep.zones import Zone

Progress = Callable[[str, int, int], None]

Broken = Mapping[str, tuple[Problem, ...]]

# Names of the CF standard table for quantities that have one, in units that can be turned into its own.
STANDARD_NAMES: Mapping[str, str] = {
    "elevation": "surface_altitude",
    "ndvi": "normalized_difference_vegetation_index",
    "npp": "net_primary_productivity_of_biomass_expressed_as_carbon",
    "precipitation": "lwe_precipitation_rate",
    "relative_humidity": "relative_humidity",
    "temperature": "air_temperature",
}

# What the numbers depend on beside this program.
_LIBRARIES = ("numpy", "numba", "rasterio", "pyproj", "shapely", "pyogrio")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run, which changes no number; `fast_hash` changes the run's id, as its files are known by samples."""

    out: Path
    ledger: str | None = None
    maps: bool = True
    partial: bool = False
    workers: int | None = None
    scheduler: str | None = None
    block: int | None = None
    supersede: str | None = None
    reason: str | None = None
    fast_hash: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything opened, and what will be accounted in each year, with the graph of all that resolves."""

    inputs: Inputs
    lines: Mapping[str, tuple[Line, ...]]
    graphs: Mapping[str, Graph]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Mandatory services that some year lacks."""
        return tuple({line.service.id: None for lines in self.lines.values() for line in lines if _lacking(line)})


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished account and where its files are."""

    run: Run
    database: str
    files: tuple[Path, ...] = field(default=())


def check(request: Request, *, partial: bool = False) -> Checked:
    """Open everything and decide every line; all problems are raised at once.

    A service whose inputs or price cannot be resolved is left out with its reasons; if the profile calls it mandatory
    and `partial` is not given, the reasons are problems. A plant or lake that lacks a figure is one in any case, as
    is a zone that lacks one of what is deducted.
    """
    inputs = open_inputs(request)
    wanted = [i.quantity for s in inputs.profile.services.values() if s.status != "not_applicable" for i in s.items]
    found = {year: resolve_year(inputs, year, dict.fromkeys([*wanted, *_keys(inputs)])) for year in inputs.years}
    lines = {year: tuple(_lines(inputs, year, *resolved)) for year, resolved in found.items()}
    problems = {
        (p.code, p.where): p
        for of_year in lines.values()
        for line in of_year
        if _lacking(line) and not partial
        for p in line.reason
    }
    lacking = {(p.code, p.where, *p.facts.values()): p for p in _objects_lacking(inputs, lines, found)}
    raise_all(
        [*lacking.values(), *(p for p in problems.values() if p not in lacking.values()), *_unknown_codes(inputs)]
    )
    return Checked(inputs, lines, {year: graph for year, (graph, _) in found.items()})


def _objects_lacking(
    inputs: Inputs, lines: Mapping[str, tuple[Line, ...]], found: Mapping[str, tuple[Graph, Broken]]
) -> Iterator[Problem]:
    """Objects, and zones of a deduction, without a figure that an item needs; an optional item does without."""
    for year, of_year in lines.items():
        graph, broken = found[year]
        for line in of_year:
            name = line.item.quantity if line.item and not line.item.optional else ""
            if name in graph.nodes and name not in broken and graph.nodes[name].level == "zone":
                yield from zonal.objects_lacking(inputs, graph, name, year)
                if line.service.cls == "deduction":
                    yield from zonal.zones_lacking(inputs, graph, name, year)


def _keys(inputs: Inputs) -> list[str]:
    """The pixel quantities by which zone quantities are shared out; one that does not resolve shares nothing out."""
    return [i.share for s in inputs.profile.services.values() for i in s.items if i.share]


def _lacking(line: Line) -> bool:
    """Whether a line leaves a hole in a mandatory service; an optional item does not."""
    return line.status == "left_out" and line.service.mandatory and not (line.item and line.item.optional)


def _lines(inputs: Inputs, year: str, graph: Graph, broken: Broken) -> Iterator[Line]:
    """The year's lines in the profile's order."""
    for service in inputs.profile.services.values():
        if service.status == "not_applicable":
            yield Line(service, None, "not_applicable")
        elif not service.items:
            yield Line(service, None, "left_out", (Problem("service-without-method", service.id),))
        else:
            yield from _of_service(inputs, year, service, graph, broken)


def _of_service(inputs: Inputs, year: str, service: Service, graph: Graph, broken: Broken) -> Iterator[Line]:
    """A service's items; one line for the service where it has optional items only and none can be accounted."""
    found = [_line(inputs, year, service, item, graph, broken) for item in service.items]
    if all(line.status == "left_out" and line.item and line.item.optional for line in found):
        found = [Line(service, None, "left_out", _without_items(service, [p for line in found for p in line.reason]))]
    yield from found


def _without_items(service: Service, reasons: Sequence[Problem]) -> tuple[Problem, ...]:
    """Why nothing of a service can be accounted: for want of any statistic, said once for all items; or as it is."""
    if any(p.code != "statistic-unresolved" for p in reasons):
        return tuple(p for i, p in enumerate(reasons) if p not in reasons[:i])
    facts: dict[str, Fact] = {"items": ", ".join(item.quantity for item in service.items)}
    facts["lacking"] = ", ".join(dict.fromkeys(p.where.partition(" < ")[0] for p in reasons))
    return (Problem("service-without-items", service.id, facts),)


def _line(inputs: Inputs, year: str, service: Service, item: Item, graph: Graph, broken: Broken) -> Line:
    """One item: counted, physical only, or left out for a reason."""
    missing = broken.get(item.quantity, ())
    if not missing and graph.nodes[item.quantity].level == "zone":
        missing = tuple(zonal.problems(inputs, graph, item.quantity, year))
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
        for year in inputs.years if inputs.stack.layers[name].raster else ():  # polygons were looked at when laid
            source = inputs.stack.source(name, year, codes)
            with rasterio.Env(**maps.environment()):  # else the whole layer stays in GDAL's cache
                unknown = stack.unknown_codes(source, inputs.stack.grid)
            if unknown:
                shown = ", ".join(f"{code} ({count})" for code, count in sorted(unknown.items())[:20])
                where = source.bands[0].path
                facts = {"layer": name, "codes": shown, "legend": inputs.legends[name].name}
                yield Problem("class-codes-unknown", where, facts)


def account(request: Request, options: Options, progress: Progress = lambda *_: None) -> Outcome:
    """From a stack to a ledger. Raises GepError with all problems; then nothing stands under a final name."""
    with rasters.hashing(sampled=options.fast_hash):
        return _account(request, options, progress)


def _account(request: Request, options: Options, progress: Progress) -> Outcome:
    own = options.out / "ledger.sqlite"
    database = options.ledger or str(own)
    checked = check(request, partial=options.partial)
    with _room(options, database):
        prepared = {y: prepare(checked.inputs, y, targets(checked, y, options), options.block) for y in checked.lines}
        determined = _determined(checked, prepared)
        spool = options.out.absolute() / f".run-{ledger.run_id(determined)[:16]}"
        with executor(options, [one.plan for one in prepared.values()], spool) as (pool, workers):
            of_year = partial(_sums, pool=pool, workers=workers, progress=progress)
            sums = {year: of_year(p, spool / file_label(year)) for year, p in prepared.items()}
        _refuse(checked.inputs, prepared, {y: _units(checked.inputs, one) for y, one in sums.items()}, spool)
        done = _accounted(checked, prepared, sums)
        made = _maps(done, ledger.run_id(determined), spool, options, progress) if options.maps else []
        asked = _asked(request, checked, options)
        run = _commit(done, determined, (database, options), checked, asked)
        files = [_final(path, options.out / "maps" / path.name) for path in made]
        files += [qgis.write(options.out / "maps")] if made else []
        files += _tables(run, database, options.out)
        for left in options.out.glob(".run-*"):  # also what a killed run of other inputs left behind
            shutil.rmtree(left)
        for draft in ledger.abandoned(own):
            draft.unlink(missing_ok=True)
    return Outcome(run, database, tuple(files))


def _tables(run: Run, database: str, out: Path) -> Iterator[Path]:
    """The run's lines as tables: those of the accounting units, and of each further level in a file of its own."""
    with Ledger.open(database, create=False) as opened:
        for level in (None, *run.levels):
            path = out / (f"ledger_{level}.csv" if level else "ledger.csv")
            exports.export(opened, path, "csv", run=run.id, level=level)
            yield path


def decide(inputs: Inputs, year: str, service: Service) -> Checked:
    """What an account would make of one service in one year, for a reader.

    An item that lacks only its price is there without one, for the reason of that lack.
    """
    service = replace(service, status="counted") if service.status == "not_applicable" else service
    names = [name for item in service.items for name in (item.quantity, item.share) if name]
    graph, broken = resolve_year(inputs, year, dict.fromkeys(names))
    lines = tuple(_shown(inputs, year, service, item, graph, broken) for item in service.items)
    return Checked(inputs, {year: lines}, {year: graph})


def _shown(inputs: Inputs, year: str, service: Service, item: Item, graph: Graph, broken: Broken) -> Line:
    line = _line(inputs, year, service, item, graph, broken)
    unpriced = _line(inputs, year, service, replace(item, price=None), graph, broken)
    return replace(unpriced, reason=line.reason) if line.status == "left_out" != unpriced.status else line


def summed(checked: Checked, year: str, zone: Zone | None = None, progress: Progress = lambda *_: None) -> Accounted:
    """One year of what was decided after a pass over all pixels, or a zone's: other zones then have no sums.

    A window without a pixel of the zone would have added nothing to its sums, so they are the whole pass's to the bit.
    """
    options = Options(Path(), maps=False)
    prepared = prepare(checked.inputs, year, targets(checked, year, options))
    around = prepared.plan.grid.around(shapely.from_wkb(zone.wkb).bounds) if zone else None
    plan = replace(prepared.plan, within=around)
    of = sum(1 for _ in plan.windows())
    with executor(options) as (pool, workers):
        sums = engine.run(plan, pool, workers, lambda done: progress(year, done, of))
    return _year(checked, year, prepared, sums)


def plan_id(checked: Checked) -> str:
    """The id that an account of this would have."""
    lines = {year: prepare(checked.inputs, year, targets(checked, year, Options(Path()))) for year in checked.lines}
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
                opened.supersedable(options.supersede, options.reason)
        yield
    finally:
        with suppress(OSError):  # while it is held, or one who waits for it would hold a file that is gone
            (options.out / ".lock").unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # Windows removes no file that is open
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
    """Give a finished file its final name; a run that was killed meanwhile may have done so already."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() and final.exists():
        return final
    try:
        path.replace(final)
    except OSError as error:  # on Windows a map that another program has open
        raise GepError([Problem("file-in-use", str(final), {"reason": error.strerror or str(error)})]) from error
    return final


def targets(checked: Checked, year: str, options: Options) -> list[Target]:
    """What one pass sums and maps: every item that is accounted, and what the gates want to know."""
    graph, found = checked.graphs[year], {}
    mapped: set[str] = set()
    for line in checked.lines[year]:
        for quantity in _summed(line, graph):
            key, first = output_key(line.service, quantity), quantity not in mapped
            counted = quantity == line.quantity
            if key not in found or counted:
                found[key] = Target(key, quantity, line.service.ecosystems, options.maps and counted and first)
            mapped |= {quantity} if counted else set()
    beside = [*gates.targets(checked.inputs, year, found.values()), *stocks.targets(graph, found.values())]
    return [*found.values(), *beside]


def _summed(line: Line, graph: Graph) -> tuple[str, ...]:
    """The pixel quantities that a line needs the sums of: its own, or those its zone formulas and its key rest on."""
    if line.item is None or line.status == "left_out":
        return ()
    if graph.nodes[line.quantity].level != "zone":
        return (line.quantity,)
    shared = line.share in graph.nodes and graph.nodes[line.share].level == "pixel"
    return (*zonal.feeds(graph, line.quantity), *([line.share] if shared else []))


def _accounted(checked: Checked, prepared: Mapping[str, Prepared], sums: Mapping[str, Sums]) -> list[Accounted]:
    return [_year(checked, y, p, sums[y]) for y, p in prepared.items()]


def _year(checked: Checked, year: str, prepared: Prepared, sums: Sums) -> Accounted:
    """One year after its pass, whose sums are of atoms."""
    return Accounted.after(checked.inputs, year, checked.lines[year], checked.graphs[year], prepared, sums)


def _units(inputs: Inputs, sums: Sums) -> Sums:
    """The pass's sums by accounting unit."""
    return replace(sums, parts=inputs.laid.units(sums.parts)) if inputs.laid.levels else sums


@contextmanager
def executor(
    options: Options, plans: Sequence[engine.Plan] = (), folder: Path | None = None
) -> Iterator[tuple[Executor, int]]:
    """The executor to run on, and how many windows it works on at once.

    With a scheduler every worker is asked first whether it sees the files of the plans and the folder of their parts.
    """
    if options.scheduler and folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with cluster.connected(options.scheduler) as client:
            cluster.check(client, plans, folder)
            yield cluster.Farm(client, folder), sum(client.nthreads().values())
    else:
        workers = options.workers or os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            yield pool, workers


def _sums(prepared: Prepared, spool: Path, *, pool: Executor, workers: int, progress: Progress) -> Sums:
    """One year's pass."""
    spool.mkdir(parents=True, exist_ok=True)
    plan = replace(prepared.plan, spool=spool)
    of = plan.grid.count(*plan.block)
    return engine.run(plan, pool, workers, lambda done: progress(spool.name, done, of))


def _maps(years: Sequence[Accounted], run: str, spool: Path, options: Options, progress: Progress) -> list[Path]:
    """Every map of every year, assembled from the parts, in parallel, still under the spool folder."""
    jobs = [(of, key) for of in years for key in _mapped(of)]
    folder = spool / "maps"
    folder.mkdir(parents=True, exist_ok=True)

    def make(job: tuple[Accounted, str]) -> Path:
        of, key = job
        plan, quantity = of.prepared.plan, key.rpartition("|")[2]
        reading = NORMAL_CLIMATE.replace("+", "_") if of.inputs.climate else ""
        out = folder / f"{quantity}_{file_label(of.year)}{reading}.tif"
        if not maps.finished(parts := spool / file_label(of.year), key):
            windows, tags = list(plan.windows()), map_tags(of.inputs, of.prepared.graph, quantity, of.year)
            maps.assemble(parts, plan.grid, windows, key, out, tags | {"run": run}, maps.style(quantity))
            maps.drop_parts(parts, windows, key)
        return out

    made = []
    with ThreadPoolExecutor(options.workers or os.cpu_count() or 1) as pool:
        types = pool.map(lambda of: _types(of, folder, run), years)  # with the zones first: what is last ends alone
        zones = pool.submit(_zones, years[0].inputs, folder)
        for done, path in enumerate(pool.map(make, jobs), 1):
            made += [path, *([path.with_suffix(".qml")] if path.with_suffix(".qml").exists() else [])]
            progress("maps", done, len(jobs))
        made += [path for paths in types for path in paths]
    return [*made, zones.result()]


def _mapped(of: Accounted) -> Iterator[str]:
    """The outputs to be mapped that have a value anywhere: what is nowhere has no map, and the ledger says why."""
    services = {line.service.id: line.service for line in of.lines}
    for key in of.prepared.plan.mapped:
        service, _, quantity = key.rpartition("|")
        if entries.cells(of, services[service], quantity).valid.any():
            yield key


def _types(of: Accounted, folder: Path, run: str) -> list[Path]:
    """The map of a year's ecosystem types."""
    said = {"quantity": ecomap.NAME, **ecomap.names(), "units": "1", **_said(of.inputs, of.year), "run": run}
    return ecomap.write(of.prepared.plan, folder / f"{ecomap.NAME}_{file_label(of.year)}.tif", said)


def _zones(inputs: Inputs, folder: Path) -> Path:
    """The zones beside the maps, for whoever draws them."""
    further = [inputs.laid.shapes(level) for level in inputs.laid.levels]
    return borders.write(folder / borders.FILE, [inputs.zones, *further], inputs.stack.grid.crs)


def map_tags(inputs: Inputs, graph: Graph, quantity: str, year: str) -> dict[str, str]:
    """What a map says of itself, names as in the CF conventions."""
    row = quantities()[quantity]
    node = graph.nodes[quantity]
    source = chosen(node).source if node.via == "formula" else ""
    standard = STANDARD_NAMES.get(quantity)
    return {
        "quantity": quantity,
        "long_name": row.en,
        "long_name_zh": row.zh,
        **({"standard_name": standard} if standard else {}),
        "units": row.unit,
        "method": node.method or node.via,
        **_counted(inputs, quantity),
        **_said(inputs, year, source),
    }


def _counted(inputs: Inputs, quantity: str) -> dict[str, str]:
    """The service that counts a quantity, its class and its place in the standard; nothing where none does."""
    items = [(service, item) for service in inputs.profile.services.values() for item in service.items]
    found = next(((at, service) for at, (service, item) in enumerate(items) if item.quantity == quantity), None)
    return {"service": found[1].id, "class": found[1].cls, "position": str(found[0])} if found else {}


def _said(inputs: Inputs, year: str, source: str = "") -> dict[str, str]:
    """What every map of a year says."""
    notice = inputs.stack.notice or {}
    return {
        "year": year,
        "profile": inputs.profile.id,
        "source": f"{inputs.stack.title}; {source}" if source else inputs.stack.title,
        "program": f"gep {__version__}",
        **({"notice": notice["en"], "notice_zh": notice["zh"]} if notice else {}),
        **({"climate": f"mean of {', '.join(inputs.climate)}"} if inputs.climate else {}),
    }


def _determined(checked: Checked, prepared: Mapping[str, Prepared]) -> dict[str, Any]:
    """All that determines the numbers and what is said beside them: what the run's id hashes.

    Not in it: paths, time, workers, windows, maps, statistics that only stand beside, the order of anything.
    """
    inputs = checked.inputs
    return {
        "program": [__version__, shipped.program()],
        "libraries": _libraries(),
        **({"hashing": "sampled"} if rasters.is_sampled() else {}),
        "profile": inputs.profile.id,
        "notice": dict(inputs.stack.notice or {}),
        "unvalued": dict(inputs.stack.unvalued),
        **({"climate": list(inputs.climate)} if inputs.climate else {}),
        "years": {year: _year_determined(checked, year, one) for year, one in prepared.items()},
        **(_levels_determined(inputs) if inputs.laid.levels else {}),
    }


def _levels_determined(inputs: Inputs) -> dict[str, Any]:
    """The further levels: of each zone the unit that it is part of, and its name; and the units that atoms hide."""
    units, found = inputs.zones.zones, inputs.laid.levels
    return {
        "units": {z.code: [dict(z.name), hashlib.sha256(z.wkb).hexdigest()] for z in units},
        "levels": {one.name: {part.code: units[part.unit - 1].code for part in one.parts} for one in found},
        "level_names": {one.name: {part.code: dict(part.name) for part in one.parts} for one in found},
    }


def _libraries() -> dict[str, str]:
    """What else computes: packages, and the GDAL, PROJ and GEOS inside them."""
    inside = {"gdal": rasterio.__gdal_version__, "proj": pyproj.proj_version_str, "geos": shapely.geos_version_string}
    return inside | {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _year_determined(checked: Checked, year: str, prepared: Prepared) -> dict[str, Any]:
    lines = checked.lines[year]
    known, nodes = prepared.graph.nodes, prepared.graph.nodes.values()
    priced = {
        line.key: [line.price.method, repr(line.price.value), *map(evidence, line.price.rows)]
        for line in lines
        if line.price
    }
    zone = _zone_determined(checked, year)
    coefficients = {name: [evidence(r) for r in lookup.used] for name, lookup in prepared.plan.lookups.items()}
    return {
        **engine.identity(prepared.plan),
        "graph": [*(n.written for n in nodes), *(n for n in zone.pop("graph") if n[0] not in known)],
        "coefficients": coefficients | zone.pop("coefficients"),
        **zone,
        **_stated(checked.inputs, year, prepared),
        "prices": priced,
        "lines": [_decided(line) for line in lines],
    }


def _stated(inputs: Inputs, year: str, prepared: Prepared) -> dict[str, Any]:
    """The threats and the access that the graph rests on: what is said of them, and their contents hashed."""
    used = [node.name for node in prepared.graph.nodes.values() if node.via == "stack"]
    return {name: inputs.stated(name, year) for name in used}


def _zone_determined(checked: Checked, year: str) -> dict[str, Any]:
    """What the zone quantities of a year rest on: their wiring and formulas, statistics and constants."""
    inputs, graph = checked.inputs, checked.graphs[year]
    names = [x.quantity for x in checked.lines[year] if x.item and x.status != "left_out"]
    names = [name for name in dict.fromkeys(names) if graph.nodes[name].level == "zone"]
    nodes = zonal.nodes(graph, names)
    used = dict.fromkeys(one for name in names for one in zonal.statistics_used(graph, name))
    used |= dict.fromkeys([POPULATION] if inputs.laid.levels and names else [])  # a key of allocation
    rows = {name: zonal.rows(inputs, graph, name) for name in names}
    return {
        "graph": [n.written for n in nodes],
        "formulas": {n.name: chosen(n).text for n in nodes if n.via == "formula"},
        "statistics": {one: _given(inputs, one, year) for one in used},
        "coefficients": {row.quantity: [evidence(row)] for found in rows.values() for row in found},
    }


def _formulas(checked: Checked, year: str) -> Iterator[tuple[str, list[str]]]:
    """Source, clause and text of each formula behind a year's lines, and source and clause of each field."""
    graph = checked.graphs[year]
    names = [x.item.quantity for x in checked.lines[year] if x.item and x.status != "left_out"]
    for node in graph.of(names).nodes.values():
        if node.via in ("formula", "field"):
            way = ways(bare(node.name))[node.method]
            text = chosen(node).text if node.via == "formula" else ""
            yield f"{node.name}|{node.method}", [way.source, way.clause, text]


def _given(inputs: Inputs, name: str, year: str) -> list[list[str]]:
    """A statistic's figures as evidence."""
    return sorted([s.zone, s.object, repr(s.value), s.source] for s in zonal.of_year(inputs, name, year))


def _decided(line: Line) -> list[Any]:
    """What was decided of a line, as the ledger will show it."""
    service, item = line.service, line.item
    return [
        line.key,
        line.status,
        service.cls,
        service.mandatory,
        [item.floor, item.share, *item.parts] if item else [],
        [p.code for p in line.reason],
    ]


def _asked(request: Request, checked: Checked, options: Options) -> dict[str, Any]:
    """What was asked for and of which files, so that another can ask for the same again."""
    folder = checked.inputs.stack.path.parent
    return {
        "request": {
            "stack": checked.inputs.stack.path.name,
            "profile": manifest.profile(request, folder),
            "years": list(checked.inputs.years),
            "methods": dict(request.methods),
            "normal_climate": request.normal_climate,
            "coefficients": request.coefficients and manifest.relative(str(request.coefficients), folder),
            "partial": options.partial,
        },
        "files": manifest.files(request, checked.inputs),
        "layer_files": manifest.layers(checked.inputs),
        "stack_text": checked.inputs.stack.path.read_text("utf-8"),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _commit(
    years: Sequence[Accounted],
    determined: dict[str, Any],
    into: tuple[str, Options],
    checked: Checked,
    asked: Mapping[str, Any],
) -> Run:
    """Value the sums and append run and entries, in one transaction."""
    inputs = checked.inputs
    made = {one.year: [*entries.entries(one), *allocation.entries(one)] for one in years}
    run = Run(
        id=ledger.run_id(determined),
        profile=inputs.profile.id,
        title=inputs.stack.title,
        years=inputs.years,
        determined=determined,
        recorded={**_recorded(checked, years, made), **asked, "sources": _publications(inputs, determined)},
    )
    database, options = into
    with Ledger.open(database) as opened:
        if options.supersede:
            old = opened.supersedable(options.supersede, options.reason)
            run = replace(run, supersedes=old.id, reason=options.reason)
        return opened.append(run, [e for found in made.values() for e in found])


def _recorded(checked: Checked, years: Sequence[Accounted], made: Mapping[str, list[Entry]]) -> dict[str, Any]:
    """What stands beside the numbers: when, who, where, warnings, cross-validation, zone areas."""
    inputs = checked.inputs
    complete = not checked.left_out
    keys = {one.year: list(allocation.keys(one)) for one in years}
    found = {
        y.year: [
            *gates.warnings(y),
            *plausibility.warnings(y, made[y.year], complete=complete),
            *allocation.warnings(y, keys[y.year]),
        ]
        for y in years
    }
    warnings = {year: [w.as_dict() for w in of_year] for year, of_year in found.items()}
    return {
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "who": _who(),
        "host": platform.node(),
        "stack": str(inputs.stack.path),
        "region": inputs.stack.region or "",
        "notice": dict(inputs.stack.notice or {}),
        "notes": {service: dict(pair) for service, pair in inputs.stack.notes.items()},
        "partial": bool(checked.left_out),
        "unpriced": [s.id for s in inputs.profile.services.values() if not any(i.price for i in s.items)],
        "left_out": list(checked.left_out),
        "label": dict(inputs.profile.label),
        "period": inputs.stack.period,
        "zone_areas": {z.code: z.area_m2 for z in inputs.zones.zones},
        "zone_names": {z.code: dict(z.name) for z in inputs.zones.zones},
        **_levels_recorded(inputs, keys),
        "services": {s.id: dict(s.title) for s in inputs.profile.services.values()},
        "gdp": {year: _beside(inputs, "gdp", year) for year in inputs.years},
        "extent": {year: extent.table(inputs, year) for year in inputs.years if year in inputs.mosaics},
        "remote": _remote(inputs),
        "derived": {one.year: dict(one.prepared.derived) for one in years},
        "nonfinite": {one.year: _nonfinite(one) for one in years},
        "warnings": warnings,
        "official": {year: plausibility.official(inputs.stack.statistics, year) for year in inputs.years},
        "closures": {
            y.year: [asdict(c) for c in gates.closures(inputs, y.prepared.plan, y.year, y.sums)] for y in years
        },
        "floored": dict(pair for one in years for pair in entries.floored(one)),
        "controls": dict(pair for one in years for pair in entries.controls(one)),
        "zone_totals": dict(pair for one in years for pair in entries.zone_totals(one)),
        "feeds": dict(pair for one in years for pair in entries.fed(one)),
        "formulas": dict(pair for year in checked.graphs for pair in _formulas(checked, year)),
        "stocks": {one.year: stocks.stocks(one) for one in years},
        "price_parts": dict(pair for one in years for pair in entries.price_parts(one)),
    }


def _levels_recorded(inputs: Inputs, keys: Mapping[str, Sequence[allocation.Key]]) -> dict[str, Any]:
    """The further levels' titles and zones, and by which keys their lines are allocated; nothing without levels."""
    if not inputs.laid.levels:
        return {}
    used: dict[str, dict[str, dict[str, str]]] = {level.name: {} for level in inputs.laid.levels}
    for year, found in keys.items():
        for key in found:
            used[key.level].setdefault(f"{year}|{key.service}|{key.item}", {})[key.unit] = key.used
    units = inputs.zones.zones
    return {
        "level_zones": {
            level.name: {
                "title": dict(level.title),
                "within": level.within,
                "zones": {
                    p.code: {
                        "name": dict(p.name),
                        "own": p.own,
                        "unit": units[p.unit - 1].code,
                        "area_m2": p.area_m2,
                    }
                    for p in level.parts
                },
                "outside": list(level.outside),
                "keys": used[level.name],
            }
            for level in inputs.laid.levels
        }
    }


def _remote(inputs: Inputs) -> dict[str, Any]:
    """Of each file on a web server: ETag, length, and how many of its bytes were needed."""
    sources = (*inputs.stack.sources.values(), *inputs.stack.threat_sources.values())
    paths = {band.path for source in sources for band in (*source.bands, *(source.qc.bands if source.qc else ()))}
    return {path: said for path in sorted(paths) if (said := rasters.fetched(path))}


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


def _nonfinite(of: Accounted) -> dict[str, int]:
    """How often each formula gave no finite number, in a cell or for a zone, which made the value missing."""
    found = Counter(dict(zip(of.prepared.plan.fused.formulas, map(int, of.sums.nonfinite), strict=False)))
    for node, _, count in entries.undefined(of):
        found[node.name] += count
    return {name: n for name, n in found.items() if n}


def closure(checked: Checked) -> list[gates.Closure]:
    """The water balance of every zone and year that has a bulletin, from rain and evapotranspiration everywhere."""
    targets = [Target(gates.CHECK + name, name) for name in gates.BALANCE]
    rows = []
    for year in checked.inputs.years:
        plan = prepare(checked.inputs, year, targets).plan
        with executor(Options(Path())) as (pool, workers):
            sums = engine.run(plan, pool, workers)
        rows += gates.closures(checked.inputs, plan, year, _units(checked.inputs, sums))
    return rows


def single_map(
    request: Request, quantity: str, out: Path, workers: int | None = None, progress: Progress = lambda *_: None
) -> Path:
    """Any pixel quantity of the graph as a map, of the last of the request's years."""
    inputs = open_inputs(request)
    year = inputs.years[-1]
    graph, broken = resolve_year(inputs, year, [quantity])
    raise_all(of_zones(graph, quantity) or broken.get(quantity, ()))
    row, node = quantities()[quantity], graph.nodes[quantity]
    no_year = node.steps > 1 and row.annual == "none"  # days of rain have no year's value
    if row.kind in ("class", "price") or node.level != "pixel" or no_year:
        raise GepError([Problem("not-a-map", quantity, {"quantity": quantity, "kind": quantities()[quantity].kind})])
    prepared = prepare(inputs, year, [Target(quantity, quantity, map=True)])
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=_folder(out)) as spool:
        named: Progress = lambda _, done, of: progress(quantity, done, of)  # noqa: E731
        with executor(Options(out, workers=workers)) as (pool, count):
            _sums(prepared, Path(spool), pool=pool, workers=count, progress=named)
        windows, tags = list(prepared.plan.windows()), map_tags(inputs, prepared.graph, quantity, year)
        maps.assemble(Path(spool), prepared.plan.grid, windows, quantity, out, tags, maps.style(quantity))
    return out


def of_zones(graph: Graph, quantity: str) -> list[Problem]:
    """Why a quantity of zones, whether it resolves or not, has no map."""
    if quantity not in quantities() or quantities()[quantity].kind not in ("zone", "statistic"):
        return []
    feeds = zonal.feeds(graph, quantity) if quantity in graph.nodes else ()
    return [Problem("zone-without-map", quantity, {"quantity": quantity, "feeds": ", ".join(feeds) or "–"})]


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
