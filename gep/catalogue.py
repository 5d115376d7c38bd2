"""Lists of what there is: services and their methods, profiles, coefficient tables, the vocabulary."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator

import gep.services  # noqa: F401  (registers the formulas)
from gep import profile, shipped, tables, words
from gep.errors import GepError, Problem
from gep.formula import formulas
from gep.prepare import DEFAULT_PROFILE
from gep.quantities import quantities as vocabulary
from gep.tables import Row
from gep.words import Lang


def services(lang: Lang) -> str:
    """The default profile's services with their items, and every formula by the quantity it yields."""
    chosen = profile.load(DEFAULT_PROFILE)
    lines = [f"{chosen.title[lang]}  {chosen.label.get(lang, '')}"]
    for service in chosen.services.values():
        items = ", ".join(item.quantity for item in service.items) or words.say("no-method", lang)
        lines.append(f"  {service.id:<24} {service.title[lang]}  [{service.cls}, {service.status}]  {items}")
    lines.append(words.say("methods", lang))
    ordered = sorted(formulas(), key=lambda f: (f.quantity, f.name))
    lines += [f"  {f.quantity:<28} {f.name}({', '.join(f.params)})  [{f.source}]" for f in ordered]
    return "\n".join(lines)


def profiles(lang: Lang) -> str:
    """The shipped standards, how many services each counts, and whether its clauses have been seen."""
    lines = []
    for name in profile.available():
        found = profile.load(name)
        counted = sum(service.status == "counted" for service in found.services.values())
        title, label = found.title[lang], found.label.get(lang, "")
        lines.append(
            f"{name:<20} {found.standard:<18} {title}  {label}  {words.say('n-services', lang, count=counted)}"
        )
    return "\n".join(lines)


def coefficients(name: str | None, region: str | None, lang: Lang) -> str:
    """All tables, or the rows of one: value, range, source, status."""
    found = tables.load([shipped.folder()], region)
    if name is None:
        return "\n".join(_table_line(found[key], lang) for key in sorted(found))
    if name not in found:
        near = ", ".join(difflib.get_close_matches(name, found, 3))
        raise GepError([Problem("table-unknown", name, {"table": name, "near": near or "-"})])
    head = f"{getattr(vocabulary()[name], lang)} {name}  {vocabulary()[name].unit}"
    return "\n".join([head, *(_row_line(row, lang) for row in found[name].rows)])


def _table_line(table: tables.Table, lang: Lang) -> str:
    row = vocabulary()[table.quantity]
    sets = ", ".join(s for s in table.sets() if s)
    return f"{table.quantity:<28} {getattr(row, lang)}  {row.unit}  {len(table.rows)}  {sets}"


def _row_line(row: Row, lang: Lang) -> str:
    value = words.say("missing", lang) if math.isnan(row.value) else row.figure
    keys = " ".join(key for key in row.keys if key)
    status = words.say(f"verified-{row.verified}", lang)
    cited = " ".join(part for part in (row.source, row.clause, row.year, row.price_year) if part)
    parts = (row.set, keys, value, f"[{cited}]", status, row.note, row.where)
    return "  " + "  ".join(part for part in parts if part)


def quantities(lang: Lang) -> str:
    """The vocabulary, a line each."""
    return "\n".join(_quantity_lines(lang))


def _quantity_lines(lang: Lang) -> Iterator[str]:
    for row in vocabulary().values():
        yield f"{row.name:<28} {row.kind:<12} {row.unit:<24} {getattr(row, lang)}"
