"""Daily text files of Chinese ground stations, reduced at each station to months or a year, then interpolated.

Two layouts, told by their first line: that of SURF_CLI_CHN_MUL_DAY (no heading; place in degrees and minutes, values in
tenths, quality codes at the end), and that of CIMISS and its successors (a heading; decimal degrees, whole units).
Days are those of the station, 20 to 20 o'clock. decisions/0043 has the codes, where they are documented, and the rule
for gaps.
"""

from __future__ import annotations

import calendar
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gep.daily import ELEMENTS, REDUCTIONS, Element, How
from gep.errors import Fact, Problem, raise_all
from gep.fields import Floats
from gep.fields.seasons import half_month_power, half_month_zhang, half_months
from gep.fields.stations import FEWEST, StationTable, twins
from gep.fields.storms import STORM, ranked
from gep.formula import STEPS

# WMO-No. 1203: a monthly mean with 11 missing days, or 5 in a row, is missing; a sum or count with any.
MEAN_DAYS, MEAN_RUN = 11, 5

_MISSING = {32766: "missing", 32744: "missing", 999999: "missing", 999998: "missing"}
_TRACE = {32700, 999990}
_IN_WORDS = {"微量": 999990.0}  # as some exports print it
_ESTIMATED, _HIGHEST = 100_000, 90_000  # added to an altitude that was estimated; tenths of a metre
_MOVED = (0.05, 50.0)  # degrees and metres that a station's printed place may differ by within a year


_HEADINGS = {
    "station": ("Station_Id_C", "Station_Id_d", "区站号", "站号"),
    "lat": ("Lat", "纬度"), "lon": ("Lon", "经度"), "alti": ("Alti", "测站高度", "海拔高度"),
    "year": ("Year", "年"), "month": ("Mon", "月"), "day": ("Day", "日"),
    "PRE_Time_2020": ("PRE_Time_2020", "20-20时降水量"), "TEM_Avg": ("TEM_Avg", "平均气温"),
    "TEM_Max": ("TEM_Max", "最高气温"), "TEM_Min": ("TEM_Min", "最低气温"),
}  # fmt: skip

_Lines = list[tuple[int, list[str]]]


def load(paths: Sequence[Path], year: int, how: How, steps: int, to: tuple[float, float]) -> StationTable:
    """Read a year's files and reduce them to 12 steps or 1; GepError with every problem in them.

    `to`, a scale and an offset, takes the reduction's unit to the vocabulary's. `notes` say what was left out, and why.
    """
    reading = _Reading(year, how)
    for path in paths:
        reading.file(path)
    return reading.table(paths[0].parent if len(paths) > 1 else paths[0], steps, to)


@dataclass(slots=True)
class _Reading:
    """Files being read: each station's place and days, and what is wrong."""

    year: int
    how: How
    places: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    days: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    codes: Counter[str] = field(default_factory=Counter)
    moved: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    unknown: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def element(self) -> Element:
        return ELEMENTS[self.how.element]

    def file(self, path: Path) -> None:
        """Take in one file."""
        text = self._decoded(path)
        lines = [(n, line.replace(",", " ").split()) for n, line in enumerate((text or "").splitlines(), 1)]
        lines = [(n, line) for n, line in lines if line]
        if not lines:
            return
        heading = {name: col for col, name in enumerate(lines[0][1])}
        if re.fullmatch(r"[A-Za-z]?\d+", lines[0][1][0]):
            self._lines(path, lines, self._surf)
        elif columns := self._columns(path, heading):
            width = len(heading)
            station = columns["station"]
            self._lines(path, lines[1:], lambda where, line: self._headed(where, line, columns, width), station)

    def _decoded(self, path: Path) -> str | None:
        try:
            content = path.read_bytes()
        except OSError:
            self.problems.append(Problem("stations-file-missing", path.name, {"path": str(path)}))
            return None
        for encoding in (self.how.encoding,) if self.how.encoding else ("utf-8-sig", "gb18030"):
            try:
                return content.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
        self.problems.append(Problem("stations-encoding", path.name, {"encoding": self.how.encoding or "GB18030"}))
        return None

    def _lines(self, path: Path, lines: _Lines, take: Callable[[str, list[str]], None], column: int = 0) -> None:
        """Take in each line of the stations that are wanted, which `column` names."""
        for number, line in lines:
            where = f"{path.name}:{number}"
            try:
                if not self.how.keep or line[min(column, len(line) - 1)] in self.how.keep:
                    take(where, line)
            except ValueError:
                self.problems.append(Problem("daily-number", where, {"line": " ".join(line)[:60]}))

    def _surf(self, where: str, line: list[str]) -> None:
        """A line without headings: station, place, date, values in tenths, quality codes."""
        element = self.element
        if len(line) != element.width:
            facts: dict[str, Fact] = {"texts": len(line), "columns": element.width, "element": self.how.element}
            self.problems.append(Problem("daily-width", where, facts))
            return
        name, (lat, lon, alti) = line[0], (int(text) for text in line[1:4])
        if lat % 100 >= 60 or lon % 100 >= 60 or not 0 < lat <= 9000 or not 0 < lon <= 18000:
            self.problems.append(Problem("daily-place", where, {"station": name, "lat": lat, "lon": lon}))
            return
        estimated = alti > _HIGHEST
        place = (lon // 100 + lon % 100 / 60, lat // 100 + lat % 100 / 60, (alti - estimated * _ESTIMATED) / 10)
        quality = [int(line[col]) for col in element.quality]
        values = [self._value(where, int(line[col]), 0.1) for col in element.values]
        self._add(where, name, place, line[4:7], _difference(values) if self._good(quality) else np.nan)

    def _columns(self, path: Path, heading: Mapping[str, int]) -> dict[str, int]:
        """The columns of a file with headings; {} if some are missing, which is noted."""
        wanted = ("station", "lat", "lon", "alti", "year", "month", "day", *self.element.names)
        plain = {re.sub(r"\(.*?\)|（.*?）", "", name): col for name, col in heading.items()}
        found = {name: plain[word] for name in wanted for word in _HEADINGS[name] if word in plain}
        for name in wanted:
            if name not in found:
                facts = {"column": _HEADINGS[name][0], "columns": ", ".join(heading)}
                self.problems.append(Problem("stations-column-missing", path.name, facts))
        return found if len(found) == len(wanted) else {}

    def _headed(self, where: str, line: list[str], columns: Mapping[str, int], width: int) -> None:
        """A line under headings: decimal degrees, metres, whole units."""
        if len(line) != width:
            facts: dict[str, Fact] = {"texts": len(line), "columns": width, "element": self.how.element}
            self.problems.append(Problem("daily-width", where, facts))
            return
        lon, lat, alti = (float(line[columns[name]]) for name in ("lon", "lat", "alti"))
        name = line[columns["station"]]
        if abs(lon) > 180 or abs(lat) > 90:
            self.problems.append(Problem("stations-place-range", where, {"station": name, "lon": lon, "lat": lat}))
            return
        place = (lon, lat, np.nan if alti > 9000 else alti)
        texts = (line[columns[name]] for name in self.element.names)
        values = [self._value(where, _IN_WORDS.get(text) or float(text), 1.0) for text in texts]
        self._add(where, name, place, [line[columns[c]] for c in ("year", "month", "day")], _difference(values))

    def _good(self, quality: list[int]) -> bool:
        bad = [code for code in quality if code not in self.how.accept]
        self.codes.update(f"quality_{code}" for code in bad)
        return not bad

    def _value(self, where: str, raw: float, scale: float) -> float:
        """A printed number in the element's unit. Special codes are decoded; one that nobody knows is a problem."""
        if raw in _MISSING:
            self.codes["missing"] += 1
            return np.nan
        if self.element.rain and raw in _TRACE:
            self.codes["trace"] += 1
            return 0.0
        if self.element.rain and scale < 1 and 30_000 <= raw < 33_000:
            self.codes[("snow", "rain_and_snow", "dew_and_frost")[int(raw) // 1000 - 30]] += 1
            return raw % 1000 * scale
        value = raw * scale
        if not (0 <= value <= 1900 if self.element.rain else -90 <= value <= 60):
            first, count = self.unknown.get(f"{raw:g}", (where, 0))
            self.unknown[f"{raw:g}"] = (first, count + 1)
            return np.nan
        return value

    def _add(self, where: str, name: str, place: tuple[float, float, float], when: Sequence[str], value: float) -> None:
        year, month, day = (int(text) for text in when)
        if year != self.year:
            return
        at = date(year, month, day).timetuple().tm_yday - 1
        known = self.places.setdefault(name, place)
        away = max(abs(place[0] - known[0]), abs(place[1] - known[1])), abs(place[2] - known[2])
        if away[0] > _MOVED[0] or away[1] > _MOVED[1]:
            self.problems.append(Problem("stations-moved", where, {"station": name}))
        elif any(away):
            self.moved.add(name)
        if at in self.days[name]:
            facts: dict[str, Fact] = {"station": name, "day": f"{year}-{month:02}-{day:02}"}
            self.problems.append(Problem("daily-twice", where, facts))
        self.days[name][at] = value

    def table(self, path: Path, steps: int, to: tuple[float, float]) -> StationTable:
        """The stations with their reduced values; GepError with all problems."""
        for code, (where, count) in self.unknown.items():
            self.problems.append(Problem("daily-code", where, {"value": code, "count": count}))
        for name in sorted(set(self.how.keep) - set(self.places)):
            self.problems.append(Problem("daily-station-absent", path.name, {"station": name, "year": self.year}))
        names = tuple(sorted(self.places))
        total = 366 if calendar.isleap(self.year) else 365
        grid = np.array([[self.days[name].get(day, np.nan) for name in names] for day in range(total)], np.float64)
        monthly = _reduced(grid.reshape(total, len(names)), self.year, self.how)
        values = monthly if steps == 12 else _of_year(grid, monthly, self.how)
        values = _storms(grid) if self.how.reduce == "storms" else values
        self._check(path, names, values)
        raise_all(self.problems)
        lon, lat, elevation = np.array([self.places[name] for name in names], np.float64).T.copy()
        notes = self._notes(names, grid, monthly)
        return StationTable(path, names, lon, lat, elevation, values * to[0] + to[1], notes)

    def _check(self, path: Path, names: tuple[str, ...], values: Floats) -> None:
        for one, other in twins(self.places):
            self.problems.append(Problem("stations-same-place", path.name, {"station": one, "other": other}))
        for step, row in enumerate(values, 1):
            if names and (count := int(np.isfinite(row).sum())) < FEWEST:
                facts: dict[str, Fact] = {"step": step, "count": count, "fewest": FEWEST}
                self.problems.append(Problem("stations-few", path.name, facts))
        if not names:
            self.problems.append(Problem("daily-empty", path.name, {"year": self.year}))

    def _notes(self, names: tuple[str, ...], grid: Floats, monthly: Floats) -> dict[str, Any]:
        """What a run records: the reduction, the rule for gaps, and what was left out by it."""
        how = self.how
        additive = REDUCTIONS[how.reduce][1]
        rule = (
            f"sum: at most {how.gaps} missing days" if additive else f"mean: below {MEAN_DAYS} and {MEAN_RUN} in a row"
        )
        return {
            "element": how.element,
            "reduce": how.reduce,
            "threshold": how.threshold,
            "gaps": rule,
            "accept": list(how.accept),
            "missing_days": {name: int(n) for name, n in zip(names, np.isnan(grid).sum(axis=0), strict=True) if n},
            "missing_months": [f"{names[k]}:{month + 1}" for month, k in np.argwhere(np.isnan(monthly)).tolist()],
            "codes": dict(sorted(self.codes.items())),
            "moved": sorted(self.moved),
        }


def _difference(values: Sequence[float]) -> float:
    return values[0] - values[1] if len(values) == 2 else values[0]


def _months(year: int) -> Iterator[slice]:
    start = 0
    for month in range(1, 13):
        length = calendar.monthrange(year, month)[1]
        yield slice(start, start + length)
        start += length


def _reduced(grid: Floats, year: int, how: How) -> Floats:
    """Months, (12, stations), from days, (days, stations); NaN where the rule for gaps says so."""
    daily = _per_day(grid, how)
    additive = REDUCTIONS[how.reduce][1]
    gaps = 0 if how.whole else how.gaps  # a half-month is whole or missing
    parts = list(_months(year))
    months = [_additive(daily[part], gaps) if additive else _average(grid[part], how) for part in parts]
    return np.array(months).reshape(12, grid.shape[1])


def _per_day(grid: Floats, how: How) -> Floats:
    """What each day adds to an additive reduction; NaN where the day is missing."""
    if how.reduce.startswith("erosivity"):
        return _erosivity(grid, how)
    if how.reduce == "sum_from":
        return np.where(np.isnan(grid), np.nan, np.where(grid >= how.threshold, grid, 0.0))
    if how.reduce == "days_above":
        return np.where(np.isnan(grid), np.nan, (grid > how.threshold).astype(np.float64))
    return grid


def _erosivity(grid: Floats, how: How) -> Floats:
    """Each half-month's erosivity on its first day and 0 on its others; NaN on the missing days of one with gaps."""
    half = half_months(grid.shape[0])
    reduce = half_month_power if how.reduce == "erosivity_power" else half_month_zhang
    sums = reduce(np.ascontiguousarray(grid[:, None, :]), half)[:, 0, :]
    made = np.zeros_like(grid)
    made[np.searchsorted(half, np.arange(24))] = sums
    return made


def _storms(grid: Floats) -> Floats:
    """Each station's storms, the heaviest first, (24, stations); NaN where a day of the year is missing."""
    return np.asarray(ranked(np.ascontiguousarray(grid[:, None, :]), STORM, STEPS["storm"])[:, 0, :])


def _additive(part: Floats, gaps: int) -> Floats:
    missing = np.isnan(part).sum(axis=0)
    share = np.maximum(len(part) - missing, 1) / len(part)
    return np.where(missing <= gaps, np.nansum(part, axis=0) / share, np.nan)


def _average(part: Floats, how: How) -> Floats:
    missing = np.isnan(part)
    enough = (missing.sum(axis=0) < MEAN_DAYS) & (_longest(missing) < MEAN_RUN)
    known = np.where(enough, part, 0.0)
    if how.reduce == "max":
        return np.where(enough, np.fmax.reduce(known, axis=0), np.nan)
    counts = np.maximum((~np.isnan(known)).sum(axis=0), 1)
    return np.where(enough, np.nansum(known, axis=0) / counts, np.nan)


def _longest(missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The longest run of missing days of each station."""
    run = np.zeros(missing.shape[1], np.int64)
    longest = run.copy()
    for day in missing:
        run = np.where(day, run + 1, 0)
        longest = np.maximum(longest, run)
    return longest


def _of_year(grid: Floats, monthly: Floats, how: How) -> Floats:
    """The year's value, (1, stations): missing where a month is."""
    if REDUCTIONS[how.reduce][1]:
        return np.asarray(monthly.sum(axis=0, keepdims=True))
    whole = np.isfinite(monthly).all(axis=0)
    known = np.where(whole, grid, 0.0)
    found = np.fmax.reduce(known, axis=0) if how.reduce == "max" else np.nanmean(known, axis=0)
    return np.asarray(np.where(whole, found, np.nan), np.float64).reshape(1, -1)
