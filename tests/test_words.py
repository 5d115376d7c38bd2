"""Every problem and every word the program speaks of has a sentence in both languages, with facts that exist."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import gep
from gep import shipped
from gep.errors import GepError, Problem
from gep.words import LANGS, Texts, default_lang, problem, say, texts

PACKAGE = Path(gep.__file__).parent
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)+")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)


def _calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a function, as `name(…)` or `module.name(…)`, and where it stands."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called == name:
                    yield f"{path.relative_to(PACKAGE.parent)}:{node.lineno}", node


def _argument(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    named = {word.arg: word.value for word in call.keywords}
    return call.args[position] if len(call.args) > position else named.get(keyword)


def _literals(node: ast.expr | None) -> list[str]:
    """The texts an argument may be: a literal, or a choice between literals; none if it is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        both = _literals(node.body), _literals(node.orelse)
        return [*both[0], *both[1]] if all(both) else []
    return []


def _facts(node: ast.expr | None) -> set[str] | None:
    """The names of facts given in place, None where they are made elsewhere."""
    if node is None:
        return set()
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
    return None


def _fields(text: str) -> set[str]:
    """The placeholders of a sentence."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _needed(pairs: Texts, key: str) -> set[str]:
    return {name for lang in LANGS for name in _fields(pairs[key][lang])}


def _same(text: str, lang: str) -> set[str]:
    """The placeholders, with `{zh}` and `{name_zh}` of the Chinese text standing for `{en}` and `{name_en}`."""
    return {re.sub(rf"(^|_){lang}$", r"\1*", name) for name in _fields(text)}


def _code_like(path: Path) -> set[str]:
    """Texts of a module that begin as a problem's code does."""
    begins = {code.partition("-")[0] for code in texts("problem")}
    return {text for text in _strings(path) if CODE.fullmatch(text) and text.partition("-")[0] in begins}


def _strings(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_problem_has_a_sentence() -> None:
    missing = []
    for where, call in _calls("Problem"):
        code = _argument(call, 0, "code")
        if isinstance(code, ast.Subscript):  # read back from a record of problems found before
            continue
        codes = _literals(code)
        # A code that a function is handed stands somewhere in its module.
        codes = codes or sorted(_code_like(PACKAGE.parent / where.partition(":")[0]) - set(texts("word")))
        assert codes, f"{where}: a code made by a program cannot be checked; write it out"
        missing += [f"{where} {one}" for one in codes if one not in texts("problem")]
    assert not missing


OF_OLDER_LEDGERS = {"previous-polygons"}  # no program writes it any more; reasons that ledgers hold must still be said


def test_every_sentence_about_a_problem_is_used() -> None:
    used = {text for path in FILES for text in _strings(path)}
    data = "".join(path.read_text("utf-8") for path in sorted(shipped.folder().rglob("*.toml")))
    unused = {code for code in texts("problem") if code not in used and f'"{code}"' not in data}
    assert unused == OF_OLDER_LEDGERS


def test_every_problem_carries_the_facts_of_its_sentence() -> None:
    missing = []
    for where, call in _calls("Problem"):
        facts = _facts(_argument(call, 2, "facts"))
        for code in _literals(_argument(call, 0, "code")):
            if facts is not None and code in texts("problem"):
                missing += [f"{where} {code}: {name}" for name in _needed(texts("problem"), code) - facts]
    assert not missing


def test_every_word_said_exists_with_its_facts() -> None:
    missing = []
    for where, call in _calls("say"):
        given = {word.arg for word in call.keywords}
        for key in _literals(_argument(call, 0, "key")):
            if key not in texts("word"):
                missing.append(f"{where} {key}")
            elif None not in given:
                missing += [f"{where} {key}: {name}" for name in _needed(texts("word"), key) - given]
    assert not missing


@pytest.mark.parametrize("section", ["problem", "word"])
def test_both_languages_stand_side_by_side(section: str) -> None:
    pairs = texts("problem" if section == "problem" else "word")
    for key, pair in pairs.items():
        assert set(pair) == set(LANGS), key
        assert all(text.strip() for text in pair.values()), key
        assert _same(pair["zh"], "zh") == _same(pair["en"], "en"), key
        assert all(name.isidentifier() for text in pair.values() for name in _fields(text)), key


def test_locale_files_hold_nothing_else() -> None:
    import tomllib

    for path in sorted((PACKAGE / "locale").glob("*.toml")):
        assert set(tomllib.loads(path.read_text("utf-8"))) <= {"problem", "word"}, path.name


def test_a_problem_is_a_sentence_with_its_place() -> None:
    found = Problem("table-column-missing", "cover_factor.csv:1", {"columns": "value, unit"})
    assert problem(found, "en").startswith("cover_factor.csv:1: Missing columns: value, unit.")
    assert problem(found, "zh").startswith("cover_factor.csv:1: 缺少列：value, unit。")


def test_what_does_not_exist_is_not_said() -> None:
    with pytest.raises(KeyError):
        say("no such word", "zh")
    with pytest.raises(KeyError):
        problem(Problem("no-such-problem", ""), "en")


def test_a_list_of_problems_survives_a_process_border() -> None:
    import pickle

    error = GepError([Problem("table-encoding", "a.csv"), Problem("table-csv", "b.csv", {"error": "x"})])
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


@pytest.mark.parametrize(
    ("variables", "lang"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "de_DE"}, "zh"),
    ],
)
def test_the_language_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], lang: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_lang() == lang
