"""One compiled function for a whole graph: every pixel is read once and every number is written down once.

Cells are taken in chunks that stay in the processor's nearest cache. Within a chunk every node is a row of a scratch
array and arithmetic runs without branches along it, several cells at a time; what is dear (exp, log, bins) runs cell by
cell. Sums are taken over runs of cells of one zone and class.

The text of the function is made from registry names only and written to a file in the user's cache folder, named by
the hash of the text and of the formulas' sources; so numba finds its machine code again in the next process. With
`NUMBA_DISABLE_JIT=1` the same text runs as plain Python, which is the reference in tests.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import math
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba import njit

from gep.formula import Formula
from gep.resolve import PREVIOUS, Graph, Node, node_name, ways

LAND_COVER = "land_cover"
COVER_BEFORE = PREVIOUS + LAND_COVER  # that of the account before
_LOADING = threading.Lock()  # threads that start together import one module
CHUNK = 128  # cells: with some forty nodes a chunk stays in the nearest cache
OUT, IN, MISSING = 0, 1, 2  # a class's place in an output's scope


def scalar(func: Callable[..., float]) -> Callable[..., float]:
    """A formula as the block function calls it: compiled, or plain Python where numba is switched off."""
    return plain(func) if os.environ.get("NUMBA_DISABLE_JIT", "0").strip("0") else _compiled(func)


def plain(func: Callable[..., float]) -> Callable[..., float]:
    """A formula in plain Python that answers NaN where numpy would."""

    @functools.wraps(func)
    def guarded(*args: float) -> float:
        try:
            result: Any = func(*map(float, args))
        except (ZeroDivisionError, ValueError, OverflowError):
            return math.nan
        return math.nan if isinstance(result, complex) else result

    return guarded


_compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(error_model="numpy")
_inlined: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(error_model="numpy", forceinline=True)
kernel: Callable[[Callable[..., None]], Callable[..., None]] = njit(error_model="numpy", nogil=True, cache=True)


@_inlined
def add(hi: Any, lo: Any, j: int, value: float) -> None:
    """Compensated sum (Neumaier; the error term by Knuth's two-sum, which has no branch)."""
    before = hi[j]
    after = before + value
    part = after - before
    lo[j] += (before - (after - part)) + (value - part)
    hi[j] = after


@_compiled
def look_up(table: Any, edges: Any, rows: Any, x: Any, places: tuple[int, int], count: int) -> None:
    """A table's values for the classes `rows` of a chunk's cells and the half-open bins that hold their values.

    `places` are where the values start in x and where the results do. Called once a chunk: an array that is passed
    costs more than a look-up.
    """
    values, results = places
    last = edges.size - 1
    for i in range(count):
        value = x[values + i]
        column = 0
        for c in range(1, last):
            column += 1 if value >= edges[c] else 0
        inside = (value >= edges[0]) & (value < edges[last])
        x[results + i] = table[rows[i], column] if inside else math.nan


@_compiled
def _weigh_known(y: Any, w: Any) -> Any:
    """The same where some value is missing."""
    s0 = s1 = s2 = s3 = g0 = g1 = g2 = g3 = 0.0
    fours = y.size // 4 * 4
    for i in range(0, fours, 4):
        y0, y1, y2, y3, w0, w1, w2, w3 = y[i], y[i + 1], y[i + 2], y[i + 3], w[i], w[i + 1], w[i + 2], w[i + 3]
        s0, g0 = (s0 + y0 * w0, g0) if y0 == y0 else (s0, g0 + w0)  # noqa: PLR0124  (not NaN)
        s1, g1 = (s1 + y1 * w1, g1) if y1 == y1 else (s1, g1 + w1)  # noqa: PLR0124
        s2, g2 = (s2 + y2 * w2, g2) if y2 == y2 else (s2, g2 + w2)  # noqa: PLR0124
        s3, g3 = (s3 + y3 * w3, g3) if y3 == y3 else (s3, g3 + w3)  # noqa: PLR0124
    for i in range(fours, y.size):
        y0, w0 = y[i], w[i]
        s0, g0 = (s0 + y0 * w0, g0) if y0 == y0 else (s0, g0 + w0)  # noqa: PLR0124
    return (s0 + s1) + (s2 + s3), (g0 + g1) + (g2 + g3)


@_inlined
def weigh(y: Any, w: Any) -> Any:
    """Σ value · weight where there is a value, and Σ weight where there is none, over a run of cells of a chunk.

    In eight lanes, which the processor adds side by side; a run is short, and runs are added compensated. Only a sum
    that is NaN tells of missing values, which are then looked for.
    """
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    eights = y.size // 8 * 8
    for i in range(0, eights, 8):
        s0 += y[i] * w[i]
        s1 += y[i + 1] * w[i + 1]
        s2 += y[i + 2] * w[i + 2]
        s3 += y[i + 3] * w[i + 3]
        s4 += y[i + 4] * w[i + 4]
        s5 += y[i + 5] * w[i + 5]
        s6 += y[i + 6] * w[i + 6]
        s7 += y[i + 7] * w[i + 7]
    for i in range(eights, y.size):
        s0 += y[i] * w[i]
    total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    return (total, 0.0) if total == total else _weigh_known(y, w)  # noqa: PLR0124  (not NaN)


@_inlined
def tally(
    x: Any, outputs: Any, scope: Any, run: tuple[int, int, int], weights: int, sums: tuple[Any, Any, int]
) -> None:
    """Add a run of cells of one zone and class to the sums of every output: value, gap, or nothing out of scope.

    `run` is class, first cell and end; `sums` the high and low parts and the place of the run's zone and ecosystem.
    """
    code, first, end = run
    hi, lo, j = sums
    count = outputs.size
    size = hi.size // (1 + 2 * count)
    w = x[weights + first : weights + end]
    whole = 0.0
    for i in range(w.size):
        whole += w[i]
    add(hi, lo, j, whole)
    for o in range(count):
        if scope[o, code] == IN:
            total, missing = weigh(x[outputs[o] + first : outputs[o] + end], w)
            add(hi, lo, j + (1 + o) * size, total)
            if missing != 0.0:
                add(hi, lo, j + (1 + count + o) * size, missing)
        elif scope[o, code] == MISSING:
            add(hi, lo, j + (1 + count + o) * size, whole)


@_inlined
def draw(x: Any, row: int, inside: Any, classes: Any, out: Any) -> None:
    """Write a chunk's cells into a map: nothing but NaN where their class is not `inside` the output's scope."""
    for i in range(out.size):
        out[i] = x[row + i] if inside[classes[i]] == IN else math.nan


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
    used = {arg for n in nodes if n.via != "field" for arg in map(node_name, n.args)} | {w.node for w in wanted}
    classes = tuple(n.name for n in nodes if n.quantity.kind == "class" and n.name in used | {LAND_COVER})
    values = tuple(n.name for n in nodes if n.name in used and _is_read(n))
    tables = tuple(n.name for n in nodes if n.via == "table" and n.name in used)
    formulas = tuple(n.name for n in nodes if n.via == "formula")
    text = _Writer(nodes, classes, values, tables, formulas).text(wanted)
    return Fused(text, _key(text, [chosen(graph.nodes[name]) for name in formulas]), classes, values, tables, formulas)


def _is_read(node: Node) -> bool:
    return node.quantity.kind != "class" and node.via in ("layer", "field", "given")


def _dear(formula: Formula) -> bool:
    """Whether a formula calls exp, log, pow or the like, which cost more than comparing its arguments."""
    return any(
        isinstance(part, ast.Pow) or (_calls(part, "math.") and not _calls(part, "math.sqrt"))
        for part in _code(formula)
    )


def _branchless(formula: Formula) -> bool:
    """Whether a formula can run along a row of cells, missing ones included: arithmetic and choices alone."""
    return not _dear(formula) and not any(
        isinstance(part, ast.For | ast.While) or _calls(part, "int") for part in _code(formula)
    )


def _code(formula: Formula) -> tuple[ast.AST, ...]:
    return _parts(formula.text)


@functools.cache
def _parts(text: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(text)))


def _calls(part: ast.AST, name: str) -> bool:
    return isinstance(part, ast.Call) and ast.unparse(part.func).startswith(name)


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
    """Writes the text; every name in it is a position, or comes from the registry.

    A node's year is row `rows[name]` of the scratch array x, its step row `rows[name + "s"]`; a constant is a variable.
    """

    def __init__(self, nodes: list[Node], *groups: tuple[str, ...]) -> None:
        self.nodes = nodes
        self.classes, self.values, self.tables, self.formulas = groups
        self.by_name = {node.name: node for node in nodes}
        self.rows: dict[str, int] = {}
        self.constants: list[str] = []
        self.lines: list[str] = []
        self.places: list[int] = []
        self.row: list[str] = []  # what the loop being written does for each cell
        self.group: list[Node] = []
        self.depth = 0

    def text(self, wanted: Sequence[Wanted]) -> str:
        self._write()
        weights, extra = self._new_row("weights"), self._new_row("extra")
        outputs = self._outputs(wanted)
        none, weighed, further = (self._place(number) for number in (0, weights, extra))
        return _TEMPLATE.format(
            imports="\n".join(self._imports()),
            arguments=", ".join(self._arguments()),
            constants="\n".join("    " + line for line in [*self._scratch(), *self.constants, *outputs]),
            places=self.places,
            none=none,
            weighed=weighed,
            further=further,
            chunk=CHUNK,
            cover=self.classes.index(LAND_COVER),
            rows="\n".join(_ROW.format(c=c) for c in range(len(self.classes))),
            body="\n".join("        " + line for line in self.lines),
            weights=weights,
            extra=extra,
            counted="\n".join(f"    nonfinite[{i}] += b{i}" for i in range(len(self.formulas))) or "    pass",
        )

    def _scratch(self) -> list[str]:
        classes = [f"k{c} = np.empty({CHUNK}, np.int64)" for c in range(len(self.classes))]
        classes.append(f"k = np.zeros({CHUNK}, np.int64)")  # of tables without a class
        return [f"x = np.empty({len(self.rows) * CHUNK})", *classes, *(f"b{i} = 0" for i in range(len(self.formulas)))]

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

    # --- rows and loops --------------------------------------------------------------------------------------------

    def _new_row(self, name: str) -> int:
        return self.rows.setdefault(name, len(self.rows) * CHUNK)

    def _at(self, name: str) -> str:
        """Where a node's value of a cell is: a place in x, or a constant."""
        return f"x[{self.rows[name]} + i]" if name in self.rows else f"x_{self._number(name)}"

    def _number(self, name: str) -> int:
        return list(self.by_name).index(name)

    def _along(self, lines: Sequence[str]) -> None:
        """Add to the loop being written, which runs without branches."""
        self.row += lines

    def _apart(self, lines: Sequence[str]) -> None:
        """A loop of its own: one that branches or calls would keep the others from running several cells at a time."""
        self._end_row()
        self.row += lines
        self._end_row()

    def _copy(self, line: str, view: str) -> None:
        """A loop over a view `w` of what is read, by itself: together, too many arrays would meet."""
        self._end_row()
        self.lines.append("    " * self.depth + f"w = {view}")
        self._apart([line])

    def _end_row(self) -> None:
        if self.row:
            self.lines += ["    " * self.depth + "for i in range(count):"]
            self.lines += ["    " * (self.depth + 1) + line for line in self.row]
            self.row = []

    # --- nodes -----------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Write every node after what it needs; nodes with steps gather in a loop that ends when all else must wait."""
        written = {*self.values, *self.tables, *self.formulas}  # others are classes, or what only a field needs
        waiting = {node.name: node for node in self.nodes if node.name in written}
        while waiting:
            ready = next((node for node in waiting.values() if self._is_ready(node, waiting)), None)
            if ready is None:
                assert self.group  # noqa: S101  (a graph has no cycles, so that only a loop can be waited for)
                self._flush()
            else:
                self._node(waiting.pop(ready.name))
        self._flush()
        self._end_row()

    def _is_ready(self, node: Node, waiting: Mapping[str, Node]) -> bool:
        """Whether all that a node needs is written; of the loop being gathered it may need the step's values only."""
        gathered = {one.name for one in self.group}
        if node.steps > 1 and any(one.steps != node.steps for one in self.group):
            return False
        for arg in node.args:
            name = node_name(arg)
            if name in waiting or (name in gathered and (node.steps == 1 or name != arg)):
                return False
        return True

    def _node(self, node: Node) -> None:
        """Write a node's year value, or take it into the loop over the steps."""
        if node.steps > 1:
            self.group.append(node)
        elif node.name in self.values:
            self._new_row(node.name)
            self._copy(f"{self._at(node.name)} = w[i]", f"v{self.values.index(node.name)}[here]  # {node.name}")
        elif node.via == "table":
            self._table(node)
        elif node.via == "formula":
            self._call(node, stepped=False)

    def _table(self, node: Node) -> None:
        """A table is (classes,), or (classes, bins) with edges; the row after the last class says missing."""
        i = self.tables.index(node.name)
        keys = next((f"k{self.classes.index(a)}" for a in node.args if a in self.classes), "k")
        value = next((a for a in node.args if a not in self.classes), None)
        if not node.args:
            self.constants.append(f"{self._at(node.name)} = t{i}[0]  # {node.name}")
            return
        row = self._new_row(node.name)
        if value is None:
            self._apart([f"{self._at(node.name)} = t{i}[{keys}[i]]  # {node.name}"])
            return
        self._end_row()
        if value not in self.rows:  # bins of a constant
            constant = self._at(value)
            self.constants.append(f"x[{self._new_row(value)} : {self.rows[value] + CHUNK}] = {constant}")
        at = self._place(self.rows[value]), self._place(row)
        found = f"look_up(t{i}, e{i}, {keys}, x, ({', '.join(at)}), count)  # {node.name}"
        self.lines.append("    " * self.depth + found)

    def _place(self, number: int) -> str:
        """A number as an item of an array: numba would compile what is called with a literal anew for each."""
        self.places.append(number)
        return f"places[{len(self.places) - 1}]"

    def _flush(self) -> None:
        """End the loop being written; write the gathered nodes as one over the steps, which makes the year's values."""
        self._end_row()
        group, self.group = self.group, []
        if not group:
            return
        steps = group[0].steps
        for node in group:
            self._new_row(node.name)
            self._along([f"{self._at(node.name)} = {'-math.inf' if node.quantity.annual == 'max' else '0.0'}"])
        self._end_row()
        self.lines.append(f"for m in range({steps}):")
        self.depth = 1
        needed = self._with_inputs(group)
        for node in needed:
            if node.name in self.values:
                self._read_step(node)
            else:
                self._call(node, stepped=True)
        self._along([line for node in group for line in self._gather(node)])
        self._end_row()
        self.depth = 0
        self._along([f"{self._at(n.name)} /= {steps}" for n in group if n.quantity.annual == "mean"])

    def _with_inputs(self, group: list[Node]) -> list[Node]:
        """The group and the nodes with steps that it reads, which may lie in an earlier loop."""
        needed, pending = set(), list(group)
        while pending:
            node = pending.pop()
            needed.add(node.name)
            read = node.args if node.via == "formula" else ()  # what a field was made from is behind it
            pending += [self.by_name[a] for a in read if a in self.by_name and self.by_name[a].steps > 1]
        return [node for node in self.nodes if node.name in needed]

    def _read_step(self, node: Node) -> None:
        self._new_row(node.name + "s")
        self._copy(f"{self._at(node.name + 's')} = w[i]", f"v{self.values.index(node.name)}[m, here]  # {node.name}")

    def _gather(self, node: Node) -> list[str]:
        year, step = self._at(node.name), self._at(node.name + "s")
        if node.quantity.annual == "max":
            return [f"{year} = {step} if {step} != {step} or {step} > {year} else {year}"]
        return [f"{year} += {step}"]

    # --- formulas --------------------------------------------------------------------------------------------------

    def _call(self, node: Node, *, stepped: bool) -> None:
        """A call behind the mask: any missing argument or a result that is not finite makes the value missing."""
        i = self.formulas.index(node.name)
        name = node.name + ("s" if stepped else "")
        args = [self._argument(arg, stepped=stepped) for arg in node.args]
        self._new_row(name)
        call = f"f{i}({', '.join(args)})  # {node.name}"
        values = list(dict.fromkeys(a for a in args if a.startswith("x")))
        mask = [f"({a} == {a})" for a in values] or ["True"]
        if _branchless(chosen(node)):
            self._along([
                f"y = {call}",
                f"known, finite = {' & '.join(mask)}, abs(y) < math.inf",
                f"b{i} += 1 if known & (not finite) else 0",
                f"{self._at(name)} = y if known & finite else math.nan",
            ])  # fmt: skip
        else:
            self._apart(self._dearly(i, self._at(name), values, call, " and ".join(mask)))

    def _dearly(self, i: int, target: str, values: list[str], call: str, mask: str) -> list[str]:
        """The call, or what it gave for the cell before if the arguments are the same: soils come in runs."""
        kept = [f"a{i}_{j}" for j in range(len(values))]
        self.constants += [f"{name} = math.nan" for name in (*kept, f"r{i}")]
        same = " and ".join(f"{a} == {name}" for a, name in zip(values, kept, strict=True))
        return [
            f"if {same or 'True'} and r{i} == r{i}:",
            f"    {target} = r{i}",
            "else:",
            f"    r{i} = math.nan",
            f"    if {mask}:",
            f"        r{i} = {call}",
            f"        if not abs(r{i}) < math.inf:",
            f"            r{i} = math.nan",
            f"            b{i} += 1",
            *(f"    {name} = {a}" for a, name in zip(values, kept, strict=True)),
            f"    {target} = r{i}",
        ]

    def _argument(self, arg: str, *, stepped: bool) -> str:
        if arg in ("month", "half_month"):
            return "(m + 1.0)"
        if arg == "years_between":
            return "years_between"
        has_steps = stepped and arg in self.by_name and self.by_name[arg].steps > 1
        return self._at(node_name(arg) + ("s" if has_steps else ""))

    # --- sums and maps ---------------------------------------------------------------------------------------------

    def _outputs(self, wanted: Sequence[Wanted]) -> list[str]:
        """Where each output's row is."""
        for node in dict.fromkeys(output.node for output in wanted):
            if node not in self.rows:  # a constant
                self.constants.append(f"x[{self._new_row(node)} : {self.rows[node] + CHUNK}] = x_{self._number(node)}")
        rows = ", ".join(str(self.rows[output.node]) for output in wanted)
        return [f"outputs = np.array([{rows}], np.int64)" if rows else "outputs = np.empty(0, np.int64)"]


_ROW = """        w = c{c}[here]
        for i in range(count):
            k{c}[i] = w[i] if w[i] >= 0 else last[{c}]  # the place after the last class: no class is known"""

_TEMPLATE = '''"""Made by gep.fuse; changed only by making it again."""

import math

import numpy as np

from gep.fuse import draw, kernel, look_up, scalar, tally
{imports}


@kernel
def block(
    {arguments}, last, years_between, area, zone, share, extra_cell, extra_zone, extra_share,
    ecosystem, scope, ecosystems, hi, lo, nonfinite, mapped, maps, origin,
):
    # hi and lo: area, then each output's sum, then each output's gap, every one by zone and ecosystem; the first cell
    # is the one at `origin` of the maps
    n = 0
{constants}
    places = np.array({places}, np.int64)
    for start in range(0, area.size, {chunk}):
        count = min({chunk}, area.size - start)
        here = slice(start, start + count)  # views of it count from 0, so that no index is looked at for its sign
        areas, shares, zones = area[here], share[here], zone[here]
{rows}
        for i in range(count):
            x[{weights} + i] = areas[i] * shares[i]
{body}
        end = {none}
        while end < count:
            first, c, z = end, k{cover}[end], zones[end]
            while end < count and k{cover}[end] == c and zones[end] == z:
                end += 1
            run = (c, first, end)
            tally(x, outputs, scope, run, {weighed}, (hi, lo, z * ecosystems + ecosystem[c]))
        for m in range(mapped.size):
            draw(x, outputs[mapped[m]], scope[mapped[m]], k{cover}, maps[m, origin + start : origin + start + count])
        while n < extra_cell.size and extra_cell[n] < start + count:  # a further zone of a cell
            i = extra_cell[n] - start
            x[{extra} + i] = area[start + i] * extra_share[n]
            c = k{cover}[i]
            j = extra_zone[n] * ecosystems + ecosystem[c]
            tally(x, outputs, scope, (c, i, i + 1), {further}, (hi, lo, j))
            n += 1
{counted}
'''
