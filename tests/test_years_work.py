"""The year's work: a new year begun from the last, a year reopened, and a series that follows a changed method."""

from __future__ import annotations

import csv
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import rasterio
from click.testing import CliRunner

from gep import account, landscape, newyear, revision
from gep.account import Options
from gep.cli import main
from gep.errors import GepError
from gep.ledger import Ledger, Run
from gep.prepare import NORMAL_CLIMATE, Request


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full synthetic county of two years."""
    return landscape.write(tmp_path_factory.mktemp("年度") / "stack", 64, 1, [2020, 2022])


@pytest.fixture
def stack(county: Path, tmp_path: Path) -> Path:
    return shutil.copytree(county.parent, tmp_path / "数据清单") / county.name


def codes(caught: pytest.ExceptionInfo[GepError]) -> list[str]:
    return [problem.code for problem in caught.value.problems]


# --- a new year


def test_a_new_year_is_a_stack_forms_and_coefficients(stack: Path) -> None:
    begun = newyear.begin(Request(stack), "2023", "zh")
    assert begun.stack == stack.with_name("stack-2023.toml")
    made = tomllib.loads(begun.stack.read_text("utf-8"))
    before = tomllib.loads(stack.read_text("utf-8"))
    assert made["stack"].pop("years") == [2022, 2023]
    assert made["stack"].pop("coefficients") == "coefficients-2023"
    before["stack"].pop("years")
    before["stack"].pop("coefficients")
    assert made == before
    assert {path.parent.name for path in begun.forms} == {"forms-2023"}
    assert all(path.exists() for path in begun.forms)
    names = {path.name for path in (stack.parent / "coefficients").iterdir()}
    assert {path.name for path in (stack.parent / "coefficients-2023").iterdir()} == names
    assert {"reservoir_capital", "carbon_price"} <= {row.quantity for row in begun.prices if row.price_year == "2020"}


def test_what_is_still_to_come_is_listed(stack: Path) -> None:
    begun = newyear.begin(Request(stack), "2023", "zh")
    missing = {Path(one.path).name for one in begun.supplies if not one.there}
    assert {"land_cover_2023.tif", "precipitation_2023.tif"} <= missing
    assert all(name.endswith("_2023.tif") for name in missing)
    assert {one.layer for one in begun.supplies if not one.yearly} >= {"elevation", "sand"}
    said = newyear.text(begun, "2023", "en")
    assert "land_cover_2023.tif" in said
    assert "forms-2023" in said


def test_the_new_stack_can_be_accounted_once_its_layers_are_there(stack: Path) -> None:
    begun = newyear.begin(Request(stack), "2023", "en")
    for old in stack.parent.glob("*_2022.tif"):
        shutil.copy(old, old.with_name(old.name.replace("2022", "2023")))
    statistics = stack.parent / "statistics.csv"
    with statistics.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with statistics.open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, list(rows[0])).writerows(r | {"year": "2023"} for r in rows if r["year"] == "2022")
    checked = account.check(Request(begun.stack, years=("2023",)))
    assert checked.inputs.years == ("2023",)
    assert not checked.left_out


@pytest.mark.parametrize(
    ("year", "code"), [("2022", "new-year-not-next"), ("2019", "new-year-not-next"), ("next", "new-year-not-next")]
)
def test_a_year_must_follow(stack: Path, year: str, code: str) -> None:
    with pytest.raises(GepError) as caught:
        newyear.begin(Request(stack), year, "en")
    assert codes(caught) == [code]


def test_nothing_that_stands_is_written_over(stack: Path) -> None:
    (stack.parent / "forms-2023").mkdir()
    (stack.parent / "stack-2023.toml").write_text("mine", "utf-8")
    before = sorted(path.name for path in stack.parent.iterdir())
    with pytest.raises(GepError) as caught:
        newyear.begin(Request(stack), "2023", "en")
    assert codes(caught) == ["new-year-exists", "new-year-exists"]
    assert sorted(path.name for path in stack.parent.iterdir()) == before


def test_a_failure_leaves_nothing(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gep.forms.write", full)
    before = sorted(path.name for path in stack.parent.iterdir())
    with pytest.raises(OSError, match="No space"):
        newyear.begin(Request(stack), "2023", "en")
    assert sorted(path.name for path in stack.parent.iterdir()) == before


def test_a_period_has_no_next_year(stack: Path) -> None:
    stack.write_text(stack.read_text("utf-8").replace("years = [2020, 2022]", 'period = "2020"'), "utf-8")
    with pytest.raises(GepError) as caught:
        newyear.begin(Request(stack), "2023", "en")
    assert codes(caught) == ["new-year-period"]


# --- a revision


@pytest.fixture(scope="module")
def accounted(county: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger's folder of two years, each a run of its own."""
    out = tmp_path_factory.mktemp("账") / "out"
    for year in ("2020", "2022"):
        account.account(Request(county, years=(year,)), Options(out, maps=False))
    return out


@pytest.fixture
def series(stack: Path, accounted: Path, tmp_path: Path) -> tuple[Path, Options]:
    """A copy of the stack and of its ledger, to be changed."""
    out = shutil.copytree(accounted, tmp_path / "out")
    return stack, Options(out, maps=False, reason="年鉴定稿")


def rain(stack: Path, year: str, by: int) -> None:
    """More rain in every cell of a year."""
    with rasterio.open(stack.with_name(f"precipitation_{year}.tif"), "r+") as file:
        cells = file.read(1)
        cells[cells != file.nodata] += by
        file.write(cells, 1)


def test_a_better_figure_changes_its_year_alone(series: tuple[Path, Options]) -> None:
    stack, options = series
    rain(stack, "2022", 50)
    found = revision.revise(Request(stack), options, "2022")
    assert found.backcast == ()
    assert found.asked.years == ("2022",)
    assert {line.year for line in found.asked.moved} == {"2022"}
    water = [line for line in found.asked.moved if line.item == "water_conservation"]
    assert water
    assert all(line.fen > 0 and "input" in {cause.kind for cause in line.causes} for line in water)
    with Ledger.open(options.out / "ledger.sqlite", create=False) as opened:
        assert opened.superseded() == {found.asked.old.id: found.asked.new.id}
        assert opened.find(found.asked.new.id).reason == "年鉴定稿"
        assert opened.verify() == []


def test_another_coefficient_takes_the_whole_series_along(series: tuple[Path, Options]) -> None:
    stack, options = series
    path = stack.parent / "coefficients" / "sequestration_ratio.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"value": str(float(row["value"]) * 1.5)} for row in rows)
    found = revision.revise(Request(stack), options, "2022")
    assert [one.years for one in found.backcast] == [("2020",)]
    assert {line.item for one in (found.asked, *found.backcast) for line in one.moved} >= {"carbon_sequestration"}
    with Ledger.open(options.out / "ledger.sqlite", create=False) as opened:
        assert len(opened.superseded()) == 2


def test_without_a_change_there_is_nothing_to_revise(series: tuple[Path, Options]) -> None:
    stack, options = series
    with pytest.raises(GepError) as caught:
        revision.revise(Request(stack), options, "2022")
    assert codes(caught) == ["revise-unchanged"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reason": " "}, "revise-without-reason"),
        ({"year": "1999"}, "revise-nothing"),
        ({"profile": "mee-2020"}, "revise-nothing"),
    ],
)
def test_what_cannot_be_revised_says_why(series: tuple[Path, Options], change: dict[str, Any], code: str) -> None:
    stack, options = series
    asked = Options(options.out, maps=False, reason=change.get("reason", "x"))
    with pytest.raises(GepError) as caught:
        revision.revise(Request(stack, change.get("profile")), asked, change.get("year", "2022"))
    assert codes(caught) == [code]


def test_a_run_is_known_by_its_profiles_id_and_by_its_climate(series: tuple[Path, Options], tmp_path: Path) -> None:
    """A profile of one's own is given by its file and kept by its id; mean weather is a reading apart."""
    stack, options = series
    own = tmp_path / "own.toml"
    own.write_text('id = "own"\nextends = "leshan"\n', "utf-8")
    for request, known in (
        (Request(stack, str(own)), "own"),
        (Request(stack, normal_climate=True), f"leshan{NORMAL_CLIMATE}"),
        (Request(stack, str(own), normal_climate=True), f"own{NORMAL_CLIMATE}"),
    ):
        with pytest.raises(GepError) as caught:
            revision.revise(request, options, "2022")
        assert [(p.code, p.facts["profile"]) for p in caught.value.problems] == [("revise-nothing", known)]
    runs = [Run("r", f"own{NORMAL_CLIMATE}", "t", ("2022",), {}, {}), Run("s", "own", "t", ("2022",), {}, {})]
    for one in runs:
        found = Ledger.valid(cast("Ledger", SimpleNamespace(runs=lambda: runs, superseded=dict)), profile=one.profile)
        assert found == [one]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_command_line(series: tuple[Path, Options], lang: str) -> None:
    stack, options = series
    begun = CliRunner().invoke(main, ["--lang", lang, "new-year", str(stack), "--year", "2023"])
    assert (begun.exit_code, "stack-2023.toml" in begun.output) == (0, True)
    rain(stack, "2020", 20)
    asked = ["--lang", lang, "revise", str(stack), "--year", "2020", "--reason", "雨量更正", "--no-maps"]
    done = CliRunner().invoke(main, [*asked, "--out", str(options.out)])
    assert (done.exit_code, "雨量更正" in done.output) == (0, True)
    assert ("修订表" if lang == "zh" else "Revisions") in done.output
    assert CliRunner().invoke(main, [*asked, "--out", str(options.out)]).exit_code == 1
