"""One compiled function for a whole graph: every pixel is read once and every number is written down once.

The text of the function is made from registry names only and written to a file in the user's cache folder, named by
the hash of the text and of the formulas' sources; so numba finds its machine code again in the next process. With
`NUMBA_DISABLE_JIT=1` the same text runs as plain Python, which is the reference in tests.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import math
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba import njit

from gep.formula import Formula
from gep.resolve import Graph, Node, node_name, ways

LAND_COVER = "land_cover"
_LOADING = threading.Lock()  # threads that start together import one module
OUT, IN, MISSING = 0, 1, 2  # a class's place in an output's scope


def scalar(func: Callable[..., float]) -> Callable[..., float]:
    """A formula as the block function calls it: compiled, or plain Python that answers NaN where numpy would."""
    if not os.environ.get("NUMBA_DISABLE_JIT", "0").strip("0"):
        return _compiled(func)

    @functools.wraps(func)
    def guarded(*args: float) -> float:
        try:
            result: Any = func(*args)
        except (ZeroDivisionError, ValueError, OverflowError):
            return math.nan
        return math.nan if isinstance(result, complex) else result

    return guarded


_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(error_model="numpy")
kernel: Callable[[Callable[..., None]], Callable[..., None]] = njit(error_model="numpy", nogil=True, cache=True)


@_compiled
def add(hi: Any, lo: Any, j: int, value: float) -> None:
    """Compensated sum (Neumaier; the error term by Knuth's two-sum, which has no branch)."""
    before = hi[j]
    after = before + value
    part = after - before
    lo[j] += (before - (after - part)) + (value - part)
    hi[j] = after


@_compiled
def look_up(table: Any, edges: Any, row: int, value: float) -> Any:
    """A table's value for a class and the half-open bin that holds `value`."""
    if not (edges[0] <= value < edges[edges.size - 1]):
        return math.nan
    column = 0
    while value >= edges[column + 1]:
        column += 1
    return table[row, column]


@dataclass(frozen=True, slots=True)
class Fused:
    """The text of a block function and the order of its arguments; plain data."""

    text: str
    key: str
    classes: tuple[str, ...]
    values: tuple[str, ...]
    tables: tuple[str, ...]
    formulas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One output: the node summed by zone and ecosystem, and whether its map is kept."""

    node: str
    map: bool = False


def fuse(graph: Graph, wanted: Sequence[Wanted]) -> Fused:
    """The block function of a graph for some outputs."""
    nodes = list(graph.nodes.values())
    classes = tuple(n.name for n in nodes if n.quantity.kind == "class")
    used = {arg for n in nodes if n.via != "field" for arg in map(node_name, n.args)} | {w.node for w in wanted}
    values = tuple(n.name for n in nodes if n.name in used and _is_read(n))
    tables = tuple(n.name for n in nodes if n.via == "table")
    formulas = tuple(n.name for n in nodes if n.via == "formula")
    text = _Writer(nodes, classes, values, tables, formulas).text(wanted)
    return Fused(text, _key(text, [chosen(graph.nodes[name]) for name in formulas]), classes, values, tables, formulas)


def _is_read(node: Node) -> bool:
    return node.quantity.kind != "class" and node.via in ("layer", "field", "given")


def _dear(formula: Formula) -> bool:
    """Whether a formula calls exp, log, pow or the like, which cost more than comparing its arguments."""
    return "math." in formula.text


def chosen(node: Node) -> Formula:
    """The formula of a formula node."""
    way = ways(node.quantity.name)[node.method]
    assert isinstance(way, Formula)  # noqa: S101  (a formula node is made from a formula)
    return way


def load(fused: Fused, folder: Path) -> Callable[..., None]:
    """The block function from its file in `folder`, written there first if it is not there yet."""
    name = f"gep_block_{fused.key}"
    with _LOADING:
        if name not in sys.modules:
            sys.modules[name] = _imported(name, _written(fused.text, folder / f"{name}.py"))
    return sys.modules[name].block  # type: ignore[no-any-return]


def _written(text: str, path: Path) -> Path:
    """The file that holds the text; another process may be writing the same."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        draft.write_text(text, "utf-8")
        draft.replace(path)
    return path


def _imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018  (a .py path has both)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _key(text: str, formulas: Iterable[Formula]) -> str:
    """A hash of all that the machine code depends on: a changed formula must not find the old code."""
    sources = [inspect.getsource(inspect.getmodule(f.func) or f.func) for f in formulas]
    own = inspect.getsource(sys.modules[__name__])
    return hashlib.sha256("\0".join([text, own, numba.__version__, *sources]).encode()).hexdigest()[:24]


class _Writer:
    """Writes the text; every name in it is a position, or comes from the registry."""

    def __init__(self, nodes: list[Node], *groups: tuple[str, ...]) -> None:
        self.nodes = nodes
        self.classes, self.values, self.tables, self.formulas = groups
        self.by_name = {node.name: node for node in nodes}
        self.constants: list[str] = []
        self.lines: list[str] = []
        self.group: list[Node] = []

    def text(self, wanted: Sequence[Wanted]) -> str:
        for node in self.nodes:
            self._node(node)
        self._flush()
        return _TEMPLATE.format(
            imports="\n".join(self._imports()),
            arguments=", ".join(self._arguments()),
            constants="\n".join("    " + line for line in self.constants),
            cover=self.classes.index(LAND_COVER),
            rows="\n".join(_ROW.format(c=c) for c in range(len(self.classes))),
            body="\n".join("        " + line for line in [*self.lines, *self._outputs(wanted)]),
        )

    def _imports(self) -> list[str]:
        made = []
        for i, name in enumerate(self.formulas):
            formula = chosen(self.by_name[name])
            made.append(f"from {formula.func.__module__} import {formula.name} as p{i}  # {name}")
        return made + [f"f{i} = scalar(p{i})" for i in range(len(self.formulas))]

    def _arguments(self) -> list[str]:
        classes = [f"c{i}" for i in range(len(self.classes))]
        values = [f"v{i}" for i in range(len(self.values))]
        binned = [any(a not in self.classes for a in self.by_name[name].args) for name in self.tables]
        tables = [f"t{i}, e{i}" if edges else f"t{i}" for i, edges in enumerate(binned)]
        return classes + values + tables

    def _node(self, node: Node) -> None:
        """Write a node's year value; nodes with steps gather in a group that becomes one loop."""
        if node.via in ("layer", "field", "given") and node.name not in self.values:
            return  # a class, or what only a field needs
        if node.steps > 1:
            years = {node_name(arg) for arg in node.args if node_name(arg) != arg}  # those it needs the year's value of
            if any(g.steps != node.steps or g.name in years for g in self.group):
                self._flush()
            self.group.append(node)
            return
        self._flush()
        if node.name in self.values:
            self.lines.append(f"{self._var(node.name)} = v{self.values.index(node.name)}[i]  # {node.name}")
        elif node.via == "table":
            (self.lines if node.args else self.constants).append(self._look_up(node))
        elif node.via == "formula":
            self.lines += self._call(node, stepped=False)

    def _look_up(self, node: Node) -> str:
        """A table is (classes,), or (classes, bins) with edges; the row after the last class says missing."""
        i = self.tables.index(node.name)
        row = next((f"k{self.classes.index(a)}" for a in node.args if a in self.classes), "0")
        value = next((self._var(a) for a in node.args if a not in self.classes), None)
        found = f"t{i}[{row}]" if value is None else f"look_up(t{i}, e{i}, {row}, {value})"
        return f"{self._var(node.name)} = {found}  # {node.name}"

    def _flush(self) -> None:
        """Write the gathered nodes as one loop over the steps that also makes the year's values."""
        group, self.group = self.group, []
        if not group:
            return
        steps = group[0].steps
        self.lines += [f"{self._var(n.name)} = {'-math.inf' if n.quantity.annual == 'max' else '0.0'}" for n in group]
        self.lines.append(f"for m in range({steps}):")
        inner: list[str] = []
        for node in self._with_inputs(group):
            inner += self._step(node)
        inner += [line for node in group for line in self._gather(node)]
        self.lines += ["    " + line for line in inner]
        self.lines += [f"{self._var(n.name)} /= {steps}" for n in group if n.quantity.annual == "mean"]

    def _with_inputs(self, group: list[Node]) -> list[Node]:
        """The group and the nodes with steps that it reads, which may lie in an earlier loop."""
        needed, pending = set(), list(group)
        while pending:
            node = pending.pop()
            needed.add(node.name)
            read = node.args if node.via == "formula" else ()  # what a field was made from is behind it
            pending += [self.by_name[a] for a in read if a in self.by_name and self.by_name[a].steps > 1]
        return [node for node in self.nodes if node.name in needed]

    def _step(self, node: Node) -> list[str]:
        if node.name in self.values:
            return [f"{self._var(node.name)}s = v{self.values.index(node.name)}[m, i]  # {node.name}"]
        return self._call(node, stepped=True)

    def _gather(self, node: Node) -> list[str]:
        year, step = self._var(node.name), self._var(node.name) + "s"
        if node.quantity.annual == "max":
            return [f"if {step} != {step} or {step} > {year}:", f"    {year} = {step}"]
        return [f"{year} += {step}"]

    def _call(self, node: Node, *, stepped: bool) -> list[str]:
        """A call behind the mask: any missing argument or a result that is not finite makes the value missing."""
        i = self.formulas.index(node.name)
        args = [self._argument(arg, stepped=stepped) for arg in node.args]
        target = self._var(node.name) + ("s" if stepped else "")
        values = list(dict.fromkeys(a for a in args if a.startswith("x")))
        mask = " and ".join(f"{a} == {a}" for a in values) or "True"
        call = [
            f"{target} = math.nan",
            f"if {mask}:",
            f"    {target} = f{i}({', '.join(args)})  # {node.name}",
            f"    if not abs({target}) < math.inf:",
            f"        {target} = math.nan",
            f"        nonfinite[{i}] += 1",
        ]
        return call if stepped or not values or not _dear(chosen(node)) else self._remembered(i, target, values, call)

    def _remembered(self, i: int, target: str, values: list[str], call: list[str]) -> list[str]:
        """The call, or what it gave for the cell before if the arguments are the same: soils come in runs."""
        kept = [f"p{i}_{a}" for a in values]
        self.constants += [f"{name} = math.nan" for name in (*kept, f"r{i}")]
        return [
            "if "
            + " and ".join(f"{a} == {name}" for a, name in zip(values, kept, strict=True))
            + f" and r{i} == r{i}:",
            f"    {target} = r{i}",
            "else:",
            *("    " + line for line in call),
            *(f"    {name} = {a}" for a, name in zip(values, kept, strict=True)),
            f"    r{i} = {target}",
        ]

    def _argument(self, arg: str, *, stepped: bool) -> str:
        if arg in ("month", "half_month"):
            return "(m + 1.0)"
        if arg == "years_between":
            return "years_between"
        has_steps = stepped and arg in self.by_name and self.by_name[arg].steps > 1
        return self._var(node_name(arg)) + ("s" if has_steps else "")

    def _var(self, name: str) -> str:
        return f"x{list(self.by_name).index(name)}"

    def _outputs(self, wanted: Sequence[Wanted]) -> list[str]:
        """Values within each output's scope, then sums for every zone that the cell belongs to, then maps."""
        lines = []
        for o, output in enumerate(wanted):
            lines += [f"s{o} = scope[{o}, k]", f"y{o} = {self._var(output.node)} if s{o} == {IN} else math.nan"]
        lines += ["z = zone[i]", "w = area[i] * share[i]", "while True:"]
        lines += ["    j = z * ecosystems + e", "    add(hi, lo, j, w)"]
        for o in range(len(wanted)):
            lines += [
                f"    if y{o} == y{o}:",
                f"        add(hi, lo, j + {1 + o} * size, y{o} * w)",
                f"    elif s{o} != {OUT}:",
                f"        add(hi, lo, j + {1 + len(wanted) + o} * size, w)",
            ]
        lines += ["    if n == extra_cell.size or extra_cell[n] != i:", "        break"]
        lines += ["    z = extra_zone[n]", "    w = area[i] * extra_share[n]", "    n += 1"]
        mapped = [o for o, output in enumerate(wanted) if output.map]
        return lines + [f"maps[{m}, i] = y{o}" for m, o in enumerate(mapped)]


_ROW = """        k{c} = c{c}[i]
        if k{c} < 0:
            k{c} = last[{c}]  # the place after the last class is for cells whose class is not known"""

_TEMPLATE = '''"""Made by gep.fuse; changed only by making it again."""

import math

from gep.fuse import add, kernel, look_up, scalar
{imports}


@kernel
def block(
    {arguments}, last, years_between, area, zone, share, extra_cell, extra_zone, extra_share,
    ecosystem, scope, ecosystems, size, hi, lo, nonfinite, maps,
):
    # hi and lo: area, then each output's sum, then each output's gap, every one by zone and ecosystem (`size` places)
    n = 0
{constants}
    for i in range(area.size):
{rows}
        k = k{cover}
        e = ecosystem[k]
{body}
'''
