"""Profiles: a standard as data, read from `coefficients/profiles/<id>.toml` or a user's file, merged and checked."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from gep import shipped, tomlfile
from gep.errors import Problem, raise_all
from gep.quantities import quantities
from gep.units import UnitError, factor
from gep.words import LANGS, Lang

Class = Literal["provisioning", "regulating", "cultural", "deduction"]
Status = Literal["counted", "satellite", "not_applicable"]
Floor = Literal["none", "ecosystem"]
T = TypeVar("T", str, bool)

_TOP = ("id", "standard", "extends", "title", "label", "methods", "sets", "services")
_SERVICE = ("title", "class", "status", "reason", "mandatory", "clause", "ecosystems", "parts", "items")
_ITEM = ("quantity", "price", "floor", "share", "parts", "optional")
POPULATION, AREA = "population", "area"  # keys of allocation beside ecosystem types


@dataclass(frozen=True, slots=True)
class Item:
    """A quantity that a service counts, and the price it is valued at; without a price it is physical only.

    `share` is the pixel quantity by whose totals a zone's number is shared out among ecosystems. An `optional` item
    that a stack cannot account leaves no hole in its service: a crop that is not grown. `parts` is the key by which a
    unit's number is allocated to townships and overlays: population, area, or the area of ecosystem types; () where
    nothing is said.
    """

    quantity: str
    price: str | None
    floor: Floor
    share: str = ""
    optional: bool = False
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """What a profile says of one service.

    `ecosystems` is its scope, with all their descendants; empty means everywhere. Without items this version has no
    method for it: it is left out with its reason.
    """

    id: str
    title: Mapping[Lang, str]
    cls: Class
    status: Status
    reason: Mapping[Lang, str]
    mandatory: bool
    clause: str
    ecosystems: tuple[str, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A standard: its services in order, the method of each quantity and the set of each table that it picks.

    `title` and `reason` have both languages or are empty; `label` is printed beside every sum where it is not empty.
    """

    id: str
    standard: str
    title: Mapping[Lang, str]
    label: Mapping[Lang, str]
    extends: str
    services: Mapping[str, Service]
    methods: Mapping[str, str]
    sets: Mapping[str, str]

    def in_scope(self, service: str, ecosystem: str) -> bool:
        """Whether a service, by id, counts in an ecosystem type; KeyError if there is no such service."""
        return within(self.services[service].ecosystems, ecosystem)


def within(scope: tuple[str, ...], ecosystem: str) -> bool:
    """Whether a type or one of its ancestors is in a scope; an empty scope is everywhere."""
    return not scope or any(ecosystem == one or ecosystem.startswith(f"{one}.") for one in scope)


def available() -> tuple[str, ...]:
    """The ids of the shipped profiles."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def load(id_or_path: str) -> Profile:
    """A shipped profile by id, or a user's TOML by path, with what it extends.

    Services (and the fields of each), methods and sets of the extending profile come before the extended one's.
    Whether the formulas and sets it names exist is checked where they are resolved.

    Raises GepError with every problem.
    """
    problems: list[Problem] = []
    chain = _chain(id_or_path, problems)
    raise_all(problems)
    merged: dict[str, Any] = {}
    for path, document in reversed(chain):
        problems += _check_document(path, document)
        merged = _over(merged, document, path.name)
    profile = _profile(chain[0][0].name, chain[0][1], merged, problems)
    raise_all(problems)
    return profile


def own_files(id_or_path: str) -> tuple[Path, ...]:
    """The user's own files among a profile's and those that it extends; none of a shipped one."""
    return tuple(path for path, _ in _chain(id_or_path, []) if path.parent != _folder())


def _folder() -> Path:
    return shipped.folder() / "profiles"


# Reading files


def _chain(id_or_path: str, problems: list[Problem]) -> list[tuple[Path, dict[str, Any]]]:
    """The profile's document and those it extends, nearest first."""
    chain: list[tuple[Path, dict[str, Any]]] = []
    name, base, where = id_or_path, Path(), id_or_path
    while name:
        path = _folder() / f"{name}.toml" if name in available() else base / name
        if path in [known for known, _ in chain]:
            problems.append(Problem("profile-cycle", where, {"chain": " → ".join(p.stem for p, _ in chain)}))
            break
        document = _document(name, path, where, problems)
        if document is None:
            break
        chain.append((path, document))
        extends = document.get("extends", "")
        if not isinstance(extends, str):
            problems.append(Problem("profile-type", f"{path.name}: extends", {"expected": 'extends = "…"'}))
            break
        name, base, where = extends, path.parent, f"{path.name}: extends"
    return chain


def _document(name: str, path: Path, where: str, problems: list[Problem]) -> dict[str, Any] | None:
    if path.suffix != ".toml" or not path.is_file():
        near = ", ".join(available()) or "—"
        problems.append(Problem("profile-missing", where, {"profile": name, "near": near}))
        return None
    try:
        found = tomlfile.read(path)
    except OSError as error:
        problems.append(Problem("profile-unreadable", path.name, {"error": str(error)}))
        return None
    except ValueError as error:
        problems.append(Problem("profile-toml", path.name, {"error": str(error)}))
        return None
    unfit = list(tomlfile.unfit(found, path.name))
    problems += unfit
    return None if unfit else found


def _check_document(path: Path, document: dict[str, Any]) -> list[Problem]:
    """What is wrong with a file by itself: keys, types and its id."""
    found = _unknown(document, _TOP, path.name)
    own = document.get("id")
    if own != path.stem:
        found.append(Problem("profile-id", path.name, {"id": str(own or "—"), "expected": path.stem}))
    elif path.parent != _folder() and own in available():
        found.append(Problem("profile-id-taken", path.name, {"id": path.stem}))
    for section in ("methods", "sets"):
        found += _check_choices(document.get(section, {}), f"{path.name}: [{section}]")
    services = document.get("services", {})
    if not isinstance(services, dict):
        return [*found, Problem("profile-type", f"{path.name}: services", {"expected": "[services.<id>]"})]
    for name, service in services.items():
        where = f"{path.name}: [services.{name}]"
        if isinstance(service, dict):
            found += _unknown(service, _SERVICE, where)
        else:
            found.append(Problem("profile-type", where, {"expected": "[services.<id>]"}))
    return found


def _check_choices(choices: object, where: str) -> list[Problem]:
    """A table from a quantity to the name of a formula or set."""
    if not isinstance(choices, dict):
        return [Problem("profile-type", where, {"expected": 'quantity = "name"'})]
    found = [_quantity_unknown(name, where) for name in choices if name not in quantities()]
    wrong = [name for name, choice in choices.items() if not isinstance(choice, str) or not choice]
    return found + [Problem("profile-type", f"{where} {name}", {"expected": 'quantity = "name"'}) for name in wrong]


def _unknown(table: Mapping[str, object], known: tuple[str, ...], where: str) -> list[Problem]:
    return [Problem("profile-key-unknown", where, {"key": k, "near": _near(k, known)}) for k in table if k not in known]


def _quantity_unknown(name: str, where: str) -> Problem:
    return Problem("profile-quantity-unknown", where, {"quantity": name, "near": _near(name, quantities())})


def _near(text: str, known: Iterable[str]) -> str:
    """The known names most like a text, or the first few where none is."""
    names = sorted(known)
    return ", ".join(difflib.get_close_matches(text, names, 3) or names[:8]) or "—"


@cache
def _ecosystems(folder: Path) -> frozenset[str]:
    """The ids of the ecosystem types; `gep.tables` checks their file."""
    with (folder / "ecosystems" / "types.csv").open(encoding="utf-8-sig", newline="") as file:
        return frozenset(row["id"] for row in csv.DictReader(file))


# Merging and building


def _over(below: dict[str, Any], above: dict[str, Any], file: str) -> dict[str, Any]:
    """A document over the one it extends; each service remembers the last file that speaks of it."""
    merged = below | above
    for section in ("methods", "sets"):
        merged[section] = _table(below, section) | _table(above, section)
    services = dict(_table(below, "services"))
    for name in _table(above, "services"):
        services[name] = _table(services, name) | _table(above["services"], name) | {"file": file}
    merged["services"] = services
    return merged


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A table of a document, empty where it is absent or (a problem already) something else."""
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _profile(file: str, own: dict[str, Any], merged: dict[str, Any], problems: list[Problem]) -> Profile:
    standard = merged.get("standard")
    if not isinstance(standard, str) or not standard:
        problems.append(Problem("profile-field-missing", file, {"field": "standard"}))
    services = {name: _service(name, table, problems) for name, table in merged["services"].items()}
    if not services:
        problems.append(Problem("profile-empty", file))
    problems += _counted_twice(file, services)
    return Profile(
        id=str(own.get("id", "")),
        standard=str(standard),
        title=_pair(merged, "title", file, problems, needed=True),
        label=_pair(merged, "label", file, problems),
        extends=str(own.get("extends", "")),
        services=services,
        methods=merged["methods"],
        sets=merged["sets"],
    )


def _service(name: str, table: dict[str, Any], problems: list[Problem]) -> Service:
    where = f"{table['file']}: [services.{name}]"
    parts = _parts(table, where, problems)
    items = tuple(_items(table.get("items", []), parts, where, problems))
    status = _choice(table, "status", Status, where, problems)
    return Service(
        id=name,
        title=_pair(table, "title", where, problems, needed=True),
        cls=cast("Class", _choice(table, "class", Class, where, problems)),
        status=cast("Status", status),
        reason=_pair(
            table, "reason", where, problems, needed=status == "not_applicable" or table.get("items", []) == []
        ),
        mandatory=_typed(table, "mandatory", False, where, problems),
        clause=_typed(table, "clause", "", where, problems),
        ecosystems=_scope(table, where, problems),
        items=items,
    )


def _pair(
    table: dict[str, Any], field: str, where: str, problems: list[Problem], *, needed: bool = False
) -> dict[Lang, str]:
    """A text in both languages; {zh: "", en: ""} where it is absent and not needed."""
    value = table.get(field)
    if value is None and not needed:
        return dict.fromkeys(LANGS, "")
    if value is None:
        problems.append(Problem("profile-field-missing", where, {"field": field}))
    elif (
        not isinstance(value, dict)
        or set(value) != set(LANGS)
        or not all(isinstance(text, str) and text.strip() for text in value.values())
    ):
        problems.append(Problem("profile-words", where, {"field": field}))
    else:
        return {lang: value[lang] for lang in LANGS}
    return dict.fromkeys(LANGS, "")


def _choice(table: dict[str, Any], field: str, kind: Any, where: str, problems: list[Problem]) -> str:
    """One of the words of a Literal."""
    value = table.get(field)
    if value not in get_args(kind):
        facts = {"field": field, "value": "—" if value is None else str(value), "known": ", ".join(get_args(kind))}
        problems.append(Problem("profile-choice", where, facts))
    return str(value)


def _typed(table: dict[str, Any], field: str, default: T, where: str, problems: list[Problem]) -> T:
    """A text or a truth value."""
    value = table.get(field, default)
    if isinstance(value, type(default)):
        return value
    expected = f"{field} = true" if isinstance(default, bool) else f'{field} = "…"'
    problems.append(Problem("profile-type", f"{where} {field}", {"expected": expected}))
    return default


def _scope(table: dict[str, Any], where: str, problems: list[Problem]) -> tuple[str, ...]:
    """The ecosystem types of a service's scope; an empty list is a problem: it would mean everywhere."""
    return _types(table, "ecosystems", where, problems)


def _parts(table: dict[str, Any], where: str, problems: list[Problem]) -> tuple[str, ...]:
    """The key of allocation: population, area, or ecosystem types."""
    value = table.get("parts")
    return (str(value),) if value in (POPULATION, AREA) else _types(table, "parts", where, problems)


def _types(table: dict[str, Any], field: str, where: str, problems: list[Problem]) -> tuple[str, ...]:
    scope = table.get(field)
    if scope is None:
        return ()
    if not isinstance(scope, list) or not scope or not all(isinstance(one, str) for one in scope):
        problems.append(Problem("profile-type", f"{where} {field}", {"expected": '["forest", …]'}))
        return ()
    types = _ecosystems(shipped.folder())
    problems += [
        Problem("profile-ecosystem", where, {"ecosystem": one, "near": _near(one, types)})
        for one in scope
        if one not in types
    ]
    return tuple(scope)


def _items(tables: object, parts: tuple[str, ...], where: str, problems: list[Problem]) -> Iterable[Item]:
    """The items; `parts` is the key of those that name none."""
    if not isinstance(tables, list):
        problems.append(Problem("profile-type", f"{where} items", {"expected": 'items = [{quantity = "…"}]'}))
        return
    for number, table in enumerate(tables, 1):
        place = f"{where} items {number}"
        if not isinstance(table, dict) or not isinstance(table.get("quantity"), str):
            problems.append(Problem("profile-type", place, {"expected": '{quantity = "…", price = "…"}'}))
            continue
        problems += _unknown(table, _ITEM, place)
        problems += _check_item(table["quantity"], table.get("price"), place)
        floor = _choice({"floor": "none"} | table, "floor", Floor, place, problems)
        share = _typed(table, "share", "", place, problems)
        problems += _check_share(share, place)
        optional = _typed(table, "optional", False, place, problems)
        own = _parts(table, place, problems) or parts
        yield Item(table["quantity"], table.get("price"), cast("Floor", floor), share, optional, own)


def _check_item(name: str, price: object, where: str) -> list[Problem]:
    """Whether a quantity has a total and total × price is money."""
    quantity = quantities().get(name)
    if quantity is None:
        return [_quantity_unknown(name, where)]
    if not quantity.total_unit:
        return [Problem("profile-no-total", where, {"quantity": name})]
    if price is None:
        return []
    priced = quantities().get(price) if isinstance(price, str) else None
    if priced is None or priced.kind != "price":
        prices = [key for key, one in quantities().items() if one.kind == "price"]
        return [Problem("profile-price-unknown", where, {"price": str(price), "near": _near(str(price), prices)})]
    try:
        factor(f"({quantity.total_unit})*({priced.unit})", "CNY")
    except UnitError:
        facts = {"quantity": name, "total": quantity.total_unit, "price": priced.name, "unit": priced.unit}
        return [Problem("profile-not-money", where, facts)]
    return []


def _check_share(name: str, where: str) -> list[Problem]:
    """Whether the key by which a zone's number is shared out is a quantity with a total."""
    quantity = quantities().get(name)
    if not name or (quantity and quantity.total_unit):
        return []
    return [Problem("profile-no-total", where, {"quantity": name}) if quantity else _quantity_unknown(name, where)]


def _counted_twice(file: str, services: Mapping[str, Service]) -> list[Problem]:
    """Priced quantities that two lines of the same sum would count."""
    first: dict[tuple[str, str], str] = {}
    found = []
    for service in services.values():
        for item in service.items if service.status != "not_applicable" else ():
            if item.price is None:
                continue
            if (service.status, item.quantity) in first:
                facts = {"quantity": item.quantity, "first": first[service.status, item.quantity], "again": service.id}
                found.append(Problem("profile-counted-twice", file, facts))
            first.setdefault((service.status, item.quantity), service.id)
    return found
