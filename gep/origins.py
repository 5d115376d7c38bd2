"""How the origin of a number is said: formulas with source and clause, coefficient rows with status, ledger lines."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gep import tables, words
from gep.errors import Problem
from gep.fuse import chosen
from gep.ledger import Entry, decimal_text, door, yuan
from gep.prepare import Inputs
from gep.quantities import quantities
from gep.resolve import Node, bare, ways
from gep.tables import Row
from gep.words import Lang

_FEW_REASONS = 3  # shown of a long list
_PROVISIONAL = "_provisional"
_AFTER_KEYS = 13  # fields of a row as evidence behind its keys


def label(node: Node, lang: Lang) -> str:
    """A quantity as a reader knows it, with its id."""
    return f"{getattr(node.quantity, lang)} {node.name}"


def with_unit(text: str, unit: str) -> str:
    """A figure with its unit; a pure number has none."""
    return text if unit == "1" else f"{text} {unit}"


def cited(source: str, clause: str) -> str:
    """A source by id, number and title, and the clause."""
    if not source:
        return ""
    found = tables.sources().get(source)
    title = " ".join(part for part in (found.number, found.title) if part) if found else ""
    return f"[{source}{': ' + title if title else ''}{', ' + clause if clause else ''}]"


def code_lines(function: Callable[..., Any] | str) -> list[str]:
    """The arithmetic of a formula (or of its text), without decorator and documentation."""
    source = inspect.cleandoc(function if isinstance(function, str) else inspect.getsource(function))
    body = source.split('"""')[-1] if '"""' in source else source
    return [line for line in textwrap.dedent(body).splitlines() if line.strip()]


def origin(inputs: Inputs, node: Node, lang: Lang) -> str:
    """Where a node's values come from: a formula or field with its source, a layer's file, a table, statistics."""
    if node.via == "formula":
        formula = chosen(node)
        return f"{node.method}({', '.join(node.args)}) {cited(formula.source, formula.clause)}"
    if node.via == "field":
        way = ways(bare(node.name))[node.method]
        return f"{node.method}({', '.join(node.args)}) {cited(way.source, way.clause)}"
    if node.via == "layer":
        layer = inputs.stack.layers[bare(node.name)]
        return words.say("explain-stations" if layer.stations else "explain-layer", lang, path=layer.where)
    return words.say(f"explain-{node.via}", lang)


def arithmetic(node: Node) -> list[str]:
    """A formula's lines as they stand in the program; none of anything else."""
    return [f"| {line}" for line in code_lines(chosen(node).func)] if node.via == "formula" else []


def interpolated(derived: Mapping[str, Mapping[str, Any]], node: Node, lang: Lang) -> list[str]:
    """How far a layer from stations misses a station that it does not know: a line for the node, or none."""
    made = derived.get(node.name)
    if made is None:
        return []
    error, steps = made["error"], [f"{one['rmse']:.4g}" for one in made["error_by_step"]]
    by_step = words.say("explain-error-steps", lang, steps=", ".join(steps)) if steps[1:] else ""
    unit = node.quantity.unit.removesuffix("/year" if steps[1:] else "")  # a month of rain is no year of it
    facts = {
        "rmse": with_unit(f"{error['rmse']:.4g}", unit),
        "bias": f"{error['bias']:+.4g}",
        "stations": made["stations"],
    }
    return [words.say("explain-error", lang, steps=by_step, **facts)]


def key_text(key: str, lang: Lang) -> str:
    """A key of allocation in words: people, area, own figures, a pixel quantity, the area of ecosystem types."""
    if f"key-{key}" in words.texts("word"):
        return words.say(f"key-{key}", lang)
    if key in quantities():
        return f"{getattr(quantities()[key], lang)} {key}"
    types = tables.ecosystem_types()
    names = words.listed([getattr(types[one], lang) for one in key.split(",") if one in types], lang)
    return words.say("key-types", lang, types=names or key)


def row_text(row: Row, lang: Lang) -> str:
    """A coefficient or price row: figure, keys, source, clause, status, note."""
    keys = " ".join(key for key in row.keys if key)
    parts = [row.quantity, row.where, row.set, keys, row.figure, row.price_year]
    return _row((*parts, row.source, row.clause, row.verified, row.note), lang)


def evidence_text(row: Sequence[str], lang: Lang) -> str:
    """The same of a row that a run wrote down (`gep.entries.evidence`), in the vocabulary's unit."""
    value, low, high, unit, _, source, clause, _, _, verified, note, price_year, _ = row[-_AFTER_KEYS:]
    figure = words.say("missing", lang) if value == "nan" else plain(value)
    figure += "" if "nan" in (low, high) else f" ({plain(low)}–{plain(high)})"
    keys = " ".join(key for key in row[2:-_AFTER_KEYS] if key)
    shown = (row[0], row[1], keys, with_unit(figure, unit), price_year)
    return _row((*shown, source, clause, verified, note), lang)


def _row(parts: Sequence[str], lang: Lang) -> str:
    *shown, source, clause, verified, note = parts
    text = " · ".join(part for part in shown if part)
    status = words.say(f"verified-{verified}", lang) if verified else ""
    return "  ".join(part for part in (text, cited(source, clause), status, note) if part)


def plain(number: str | float) -> str:
    """A number as a reader likes it, at most nine digits.

    >>> plain("2970000000.0"), plain(0.25)
    ('2,970,000,000', '0.25')
    """
    return f"{door(float(number)):,f}"


def statistic_text(row: Sequence[str], unit: str, lang: Lang) -> str:
    """A figure of the statistics: its object (if it has one), value, source, place and note."""
    object_, value, source, *more = row
    said = words.say("explain-source", lang, source=source)
    head = f"{object_} = " if object_ else ""
    return "  ".join(part for part in (f"{head}{with_unit(plain(value), unit)}", said, *more) if part)


def place(where: str) -> str:
    """A line or cell of a file, without the folders above it."""
    return Path(where).name


def left_reason(text: str, lang: Lang) -> str:
    """Why a line is left out or does not apply, from its reason as the ledger has it."""
    return reason_text(reason(text), lang) if text else ""


def reason(text: str) -> Any:
    """A reason as the ledger has it: in both languages, or problems; or the words of another program."""
    try:
        return json.loads(text)
    except ValueError:
        return {"zh": text, "en": text}


def reason_text(found: Any, lang: Lang) -> str:
    """Why a line has no number, as the ledger keeps it: in both languages, or problems, the first few of them."""
    if isinstance(found, dict):
        return str(found[lang])
    said = [words.problem(Problem(p["code"], p["where"], p["facts"]), lang) for p in found]
    shown = ("" if lang == "zh" else " ").join(said[:_FEW_REASONS])
    return shown if len(said) <= _FEW_REASONS else words.say("reasons-more", lang, shown=shown, count=len(said))


def entry_text(entry: Entry, lang: Lang) -> str:
    """A ledger's line as quantity × price = value, its status and method; of the whole zone where it has no type."""
    amount = words.say("missing", lang)
    if entry.quantity is not None:
        amount = f"{decimal_text(entry.quantity)} {entry.quantity_unit}"
    price = with_unit(str(entry.price), entry.price_unit)
    money = "" if entry.value_fen is None else f" × {price} = {yuan(entry.value_fen):,} CNY"
    status = words.say(f"status-{entry.status.removesuffix(_PROVISIONAL)}", lang)
    marks = [words.say(key, lang) for key, on in (
        ("explain-provisional", entry.status.endswith(_PROVISIONAL)), ("explain-allocated", entry.allocated),
    ) if on]  # fmt: skip
    ecosystem = entry.ecosystem or words.say("whole-zone", lang)
    item = f" {entry.item} {getattr(quantities()[entry.item], lang)}" if entry.item else ""
    last = ", ".join(filter(None, (status, *marks, entry.method)))
    return f"{ecosystem}{item}: {amount}{money}  [{last}]"
