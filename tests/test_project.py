"""The project around the code: what it declares, promises and forbids."""

import ast
import doctest
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gep import formula

TOP = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
LOCK = (TOP / "requirements.lock").read_text("utf-8")

DOCUMENTS = [path for place in ("*.md", "decisions/*.md", "rasters/**/*.md") for path in sorted(TOP.glob(place))]


def name_of(requirement: str) -> str:
    """The normalised package name of a requirement line."""
    return re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def runtime() -> set[str]:
    return {name_of(line) for line in PROJECT["project"]["dependencies"]}


def optional() -> set[str]:
    return {name_of(line) for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines}


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, dotted."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def third_party() -> set[str]:
    """The packages that the program imports."""
    tops = {module.partition(".")[0] for path in (TOP / "gep").rglob("*.py") for module in imports(path)}
    names = {"docx": "python-docx"}  # imported under another name
    return {names.get(top, top.lower().replace("_", "-")) for top in tops - sys.stdlib_module_names - {"gep"}}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    used = third_party()
    assert used - runtime() - optional() == set()
    # A font, whose code is not run; what xarray reads calendars with.
    assert runtime() - used == {"zhplot", "cftime"}


def test_the_lock_has_everything_that_is_declared_each_with_hashes() -> None:
    locked = {name_of(line) for line in LOCK.splitlines() if "==" in line}
    development = {name_of(line) for line in PROJECT["dependency-groups"]["dev"]}
    assert (runtime() | optional() | development) - locked == set()
    for entry in re.split(r"\n(?=[a-z])", LOCK.partition("make lock\n")[2]):
        assert re.match(r"[a-z0-9.-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_lock_names_no_index_and_no_path() -> None:
    assert not re.search(r"://|^-|@|/", LOCK, re.MULTILINE)


@pytest.mark.parametrize("path", sorted((TOP / "gep" / "services").glob("[!_]*.py")), ids=lambda p: p.stem)
def test_a_service_imports_the_registry_and_math_only(path: Path) -> None:
    assert set(imports(path)) <= {"gep.formula", "math"}


def test_the_service_in_contributing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """It registers, its doctest holds, and it is as short as promised."""
    monkeypatch.setattr(formula, "_registry", {})
    text = (TOP / "CONTRIBUTING.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    space: dict[str, Any] = {"__name__": "example"}
    exec(found[1], space)  # noqa: S102  (our own documentation)
    (made,) = formula.formulas()
    assert (made.quantity, made.params) == ("wood_growth", ("wood_volume", "wood_growth_rate"))
    tests = doctest.DocTestFinder().find(made.func, "growth_rate", globs=space)
    assert [doctest.DocTestRunner().run(test) for test in tests] == [doctest.TestResults(0, 1)]
    code = [line for line in found[1].splitlines() if line.strip()]
    assert len(code) <= 10


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_leads_with_two_commands_that_exist(name: str) -> None:
    text, makefile = (TOP / name).read_text("utf-8"), (TOP / "Makefile").read_text("utf-8")
    block = text.split("```")[1]
    assert re.findall(r"^make (\w+)", block, re.MULTILINE) == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in re.findall(r"make (\w+)", text))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_decisions_are_numbered_once_and_those_cited_exist() -> None:
    numbers = [path.name[:4] for path in (TOP / "decisions").glob("*.md")]
    assert sorted(numbers) == sorted(set(numbers))
    places = ("gep/**/*.py", "coefficients/**/*.csv", "coefficients/**/*.toml", "rasters/**/*.toml")
    citing = [*DOCUMENTS, *(path for place in places for path in TOP.glob(place))]
    lists = re.compile(r"decision(?:s/|_)(\d{4}(?:(?:, | and )\d{4})*)")  # also: decisions/0022 and 0023
    found = {text for path in citing for text in lists.findall(path.read_text("utf-8"))}
    cited = {number for text in found for number in re.findall(r"\d{4}", text)}
    assert {"0022", "0040"} <= cited
    assert cited - set(numbers) == set()


@pytest.mark.parametrize("path", sorted((TOP / "decisions").glob("*.md")), ids=lambda path: path.name[:4])
def test_a_decision_says_what_was_asked_and_what_was_chosen(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith(f"# {path.name[:4]} ")
    assert "**Question.**" in text
    assert re.search(r"\*\*Decisions?\b", text)
