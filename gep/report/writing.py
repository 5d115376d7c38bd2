"""`gep report`: one year of a ledger as Word, PDF, HTML or a workbook, all of the same document."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gep import paper
from gep.errors import Problem, raise_all
from gep.report import chapters, extras, facts, pdf, plates, web, word, workbook
from gep.report.chapters import Progress
from gep.report.extras import Extras, Listed
from gep.report.model import Document
from gep.report.picture import KINDS, PNG, SVG
from gep.words import Lang

# Each format, and what its figures are drawn as.
_DRAWN = {".docx": frozenset({PNG}), ".pdf": frozenset({SVG}), ".html": frozenset({SVG}), ".xlsx": frozenset[str]()}
FORMATS = tuple(_DRAWN)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be reported: a year of a ledger (of one run, where several have it), in a language.

    `maps` is the folder of the account's maps (None: that beside the ledger, if it is there), `statistics` a table
    with GDP and population, `template` a Word document whose styles and pages hold, `review` the maps' review number;
    `change` and `uncertainty` are what those commands print with `--json`, `products` the rows of the catalogue.
    """

    ledger: str
    year: str
    lang: Lang
    run: str | None = None
    maps: Path | None = None
    statistics: Path | None = None
    change: Path | None = None
    uncertainty: Path | None = None
    products: Sequence[Listed] | None = None
    template: Path | None = None
    review: str = ""


def write(asked: Asked, out: Path, progress: Progress = lambda *_: None) -> Document:
    """Write the report whole or not at all; what it says is returned.

    Problems: a format that is none of ours, no such folder, what the ledger, the maps, the table or the template lack.
    """
    raise_all(_refused(asked, out))
    if asked.template is not None:
        paper.opened(asked.template)  # what is wrong with it is known before anything is drawn
    document = document_of(asked, progress, _DRAWN[out.suffix.lower()])
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        _writer(asked, out.suffix.lower())(document, part)
        os.replace(part, out)  # noqa: PTH105  (the name says what it does on every system)
    finally:
        part.unlink(missing_ok=True)
    return document


def document_of(asked: Asked, progress: Progress = lambda *_: None, kinds: frozenset[str] = KINDS) -> Document:
    """The report as data, its figures drawn as PNG, as SVG, as both or not at all."""
    found = facts.read(asked.ledger, asked.year, asked.lang, asked.run)
    beside = Extras(
        dual=extras.beside(asked.ledger, found, asked.statistics),
        changes=extras.changes(asked.change, found),
        intervals=extras.intervals(asked.uncertainty, found),
        products=extras.products(asked.products, found),
    )
    maps = plates.Folder(plates.folder(asked.maps, asked.ledger), asked.review)
    return chapters.document(found, beside, maps, progress, kinds)


def _refused(asked: Asked, out: Path) -> list[Problem]:
    found = []
    if out.suffix.lower() not in FORMATS:
        found.append(Problem("report-format", str(out), {"suffix": out.suffix or "—"}))
    elif asked.template is not None and out.suffix.lower() != ".docx":
        found.append(Problem("report-template-format", str(asked.template)))
    if not out.parent.is_dir():
        found.append(Problem("report-folder", str(out), {"folder": str(out.parent)}))
    return found


def _writer(asked: Asked, suffix: str) -> Callable[[Document, Path], None]:
    writers: dict[str, Callable[[Document, Path], None]] = {
        ".docx": partial(word.write, template=asked.template),
        ".pdf": pdf.write,
        ".html": web.write,
        ".xlsx": workbook.write,
    }
    return writers[suffix]
