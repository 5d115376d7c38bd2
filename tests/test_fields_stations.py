"""Station tables: reading, problems, inverse distance, lapse rates, leave-one-out error."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Geod, Transformer

from gep import words
from gep.errors import GepError
from gep.fields import Floats, stations
from gep.fields.stations import Columns, Lapse, StationTable, cross_validate, interpolate, load
from gep.grid import Grid, Window

DEGREES = Grid(14, 17, 102.9, 29.6, 0.05, 0.05, "EPSG:4326")
METRES = Grid(15, 12, 250_000.0, 3_270_000.0, 5000.0, 5000.0, "EPSG:32648")


def table(n: int = 8, steps: int = 1, seed: int = 0, lapse: float = 0.0) -> StationTable:
    random = np.random.default_rng(seed)
    lon, lat, height = random.uniform(102.9, 103.7, n), random.uniform(28.9, 29.6, n), random.uniform(300, 3000, n)
    values = random.uniform(10, 20, (steps, n)) + lapse * height
    return StationTable(Path("t.csv"), tuple(f"s{k}" for k in range(n)), lon, lat, height, values)


def relief(window: Window) -> Floats:
    rows, cols = np.mgrid[window.row : window.row + window.rows, window.col : window.col + window.cols]
    return np.asarray(400.0 + 130 * rows + 40 * cols)


def interpolated(folder: Path, of: StationTable, grid: Grid = DEGREES, **how: Any) -> Floats:
    elevation = how.pop("elevation", relief)
    interpolate(of, grid, elevation, folder / "out.tif", **how)
    with rasterio.open(folder / "out.tif") as file:
        return np.asarray(file.read())


def second_hand(of: StationTable, lon: float, lat: float, power: float, values: Floats) -> float:
    """Inverse distance with geodesic distances on a sphere, one point at a time."""
    known = np.isfinite(values)
    n = known.sum()
    away = np.array(Geod(a=6371008.8, b=6371008.8).inv([lon] * n, [lat] * n, of.lon[known], of.lat[known])[2])
    weights = away**-power
    return float(weights @ values[known] / weights.sum())


# interpolation


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("grid", [DEGREES, METRES], ids=["degrees", "metres"])
def test_inverse_distance_by_a_second_hand(tmp_path: Path, power: float, grid: Grid) -> None:
    of = table(steps=2)
    of.values[1, 3] = np.nan
    found = interpolated(tmp_path, of, grid, power=power, elevation=None)
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    for row, col in ((0, 0), (5, 7), (13, 11)):
        x, y = grid.xs(grid.window())[col], grid.ys(grid.window())[row]
        wanted = [second_hand(of, *to_degrees.transform(x, y), power, v) for v in of.values]
        np.testing.assert_allclose(found[:, row, col], wanted, rtol=2e-7)


def test_a_cell_at_a_station_has_its_value(tmp_path: Path) -> None:
    of = table(steps=2)
    of.lon[2], of.lat[2] = DEGREES.xs(DEGREES.window())[4], DEGREES.ys(DEGREES.window())[6]
    of.values[1, 2] = np.nan
    for power in (2.0, 40.0):
        found = interpolated(tmp_path, of, power=power, elevation=None)
        assert found[0, 6, 4] == np.float32(of.values[0, 2])
        assert np.isfinite(found).all()
        assert of.values[1][np.isfinite(of.values[1])].min() < found[1, 6, 4] < np.nanmax(of.values[1])


def test_a_declared_lapse_rate_is_taken_off_and_put_on(tmp_path: Path) -> None:
    of = table(lapse=-0.006)
    flat = StationTable(of.path, of.names, of.lon, of.lat, of.elevation, of.values + 0.006 * of.elevation)
    at_sea = interpolated(tmp_path, flat, elevation=None)
    found = interpolated(tmp_path, of, lapse=-0.006)
    np.testing.assert_allclose(found, at_sea - 0.006 * relief(DEGREES.window()), rtol=1e-5)
    assert found[0, -1, -1] < found[0, 0, 0] - 8


@pytest.mark.parametrize("lapse", [-0.0055, "fit"])
def test_a_constant_lapse_rate_leaves_no_error(tmp_path: Path, lapse: Lapse) -> None:
    of = table(steps=12, seed=3)
    of.values[:] = np.arange(12)[:, None] - 0.0055 * of.elevation
    report = interpolate(of, DEGREES, relief, tmp_path / "out.tif", lapse=lapse)
    np.testing.assert_allclose(report["lapse"], -0.0055, rtol=1e-9)
    assert report["lapse_from"] == ("stations" if lapse == "fit" else "declared")
    assert report["error"]["rmse"] < 1e-9
    assert report["error"]["n"] == 12 * 8
    with rasterio.open(tmp_path / "out.tif") as file:
        wanted = np.arange(12)[:, None, None] - 0.0055 * relief(DEGREES.window())
        np.testing.assert_allclose(file.read(), wanted, atol=1e-5)


def test_fitting_is_least_squares(tmp_path: Path) -> None:
    of = table(steps=2, seed=4)
    of.values[1, 5] = np.nan
    report = interpolate(of, DEGREES, relief, tmp_path / "out.tif", lapse="fit")
    for rate, values in zip(report["lapse"], of.values, strict=True):
        known = np.isfinite(values)
        assert rate == pytest.approx(np.polyfit(of.elevation[known], values[known], 1)[0])


@pytest.mark.parametrize("lapse", [0.0, -0.006, "fit"])
def test_leave_one_out_by_a_second_hand(lapse: Lapse) -> None:
    of = table(n=6, steps=2, lapse=-0.004)
    of.values[0, 1] = np.nan
    errors = cross_validate(of, power=2.0, lapse=lapse)
    assert np.isnan(errors[0, 1])
    for step, k in ((0, 0), (0, 4), (1, 1)):
        keep = np.isfinite(of.values[step]) & (np.arange(6) != k)
        rest = StationTable(of.path, (), of.lon[keep], of.lat[keep], of.elevation[keep], of.values[:, keep])
        rate = np.polyfit(rest.elevation, rest.values[step], 1)[0] if lapse == "fit" else lapse
        sea = second_hand(rest, of.lon[k], of.lat[k], 2.0, rest.values[step] - rate * rest.elevation)
        assert errors[step, k] == pytest.approx(sea + rate * of.elevation[k] - of.values[step, k], rel=1e-9)


def test_the_report_is_plain_and_adds_up(tmp_path: Path) -> None:
    of = table(steps=3)
    of.values[2, 7] = np.nan
    report = interpolate(of, DEGREES, None, tmp_path / "out.tif")
    assert json.loads(json.dumps(report)) == report
    errors = cross_validate(of)
    known = errors[np.isfinite(errors)]
    assert report["error"] == {
        "rmse": pytest.approx(np.sqrt(np.mean(known**2))),
        "bias": pytest.approx(known.mean()),
        "n": 23,
    }
    assert [e["n"] for e in report["error_by_step"]] == [8, 8, 7]
    assert report["left_out"] == ["s7:3"]
    assert (report["lowest"], report["highest"]) == (np.min(of.elevation), np.max(of.elevation))


def test_blocks_do_not_change_a_bit(tmp_path: Path) -> None:
    of = table(steps=12, lapse=-0.006)
    for grid in (DEGREES, METRES):
        found = [interpolated(tmp_path, of, grid, lapse="fit", block=block) for block in (256, 1, 5)]
        np.testing.assert_array_equal(found[1].view(np.uint32), found[0].view(np.uint32))
        np.testing.assert_array_equal(found[2].view(np.uint32), found[0].view(np.uint32))


def test_a_cell_without_elevation_is_missing_only_where_it_counts(tmp_path: Path) -> None:
    def holed(window: Window) -> Floats:
        return np.where(relief(window) > 1500, np.nan, relief(window))[None]

    missing = np.isnan(holed(DEGREES.window())[0])
    np.testing.assert_array_equal(np.isnan(interpolated(tmp_path, table(), elevation=holed, lapse=-0.006)[0]), missing)
    assert np.isfinite(interpolated(tmp_path, table(), elevation=holed)).all()


def test_a_cell_off_the_globe_is_missing(tmp_path: Path) -> None:
    far = Grid(2, 3, 0.0, 2e7, 1e7, 1e7, "ESRI:54009")  # Mollweide, whose corners are nowhere
    found = interpolated(tmp_path, table(), far, elevation=None)
    np.testing.assert_array_equal(np.isnan(found[0]), [[True, True, True], [False, False, True]])


def test_stations_without_elevation_need_no_lapse_rate(tmp_path: Path) -> None:
    of = table()
    of.elevation[2] = np.nan
    assert np.isfinite(interpolated(tmp_path, of)).all()
    assert np.isfinite(cross_validate(of)).all()
    codes = refused(interpolate, of, DEGREES, None, tmp_path / "x.tif", lapse=-0.006)
    assert codes == ["stations-elevation-layer t.csv", "stations-elevation-missing t.csv"]
    of.elevation[:] = 500.0
    assert refused(interpolate, of, DEGREES, relief, tmp_path / "x.tif", lapse="fit") == ["stations-lapse-unfit t.csv"]
    assert not (tmp_path / "x.tif").exists()


def test_a_power_is_positive(tmp_path: Path) -> None:
    for power in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="power"):
            interpolate(table(), DEGREES, None, tmp_path / "x.tif", power=power)


def test_identity_is_of_every_bit() -> None:
    one, other = table(), table()
    assert one.identity == other.identity
    other.values[0, 0] = np.nextafter(other.values[0, 0], 99)
    assert one.identity != other.identity


# reading


def refused(function: Callable[..., object], *args: Any, **named: Any) -> list[str]:
    """The codes and places of the problems, each with its sentence in both languages."""
    with pytest.raises(GepError) as caught:
        function(*args, **named)
    for problem in caught.value.problems:
        for lang in words.LANGS:
            assert "{" not in words.problem(problem, lang)
    return [f"{p.code} {p.where}" for p in caught.value.problems]


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "站点.csv"
    path.write_text(text, encoding)
    return path


PLAIN = """station,lon,lat,elevation,value
56386,103.75,29.57,424,1200
56385,103.33,29.52,3047,1700
56387,103.27,29.24,640,
56390,103.55,28.84,540,32766
56480,103.95,28.96,400,900.5
"""


def test_one_line_a_station(tmp_path: Path) -> None:
    of = load(written(tmp_path, PLAIN), scale=0.1, offset=2.0)
    assert of.names == ("56386", "56385", "56387", "56390", "56480")
    np.testing.assert_allclose(of.values, [[122.0, 172.0, np.nan, np.nan, 92.05]], rtol=1e-15)
    np.testing.assert_array_equal(of.elevation, [424, 3047, 640, 540, 400])
    np.testing.assert_array_equal(of.lon[:2], [103.75, 103.33])
    np.testing.assert_array_equal(of.lat[:2], [29.57, 29.52])


def long_table() -> str:
    lines = [f"s{s},{103 + s / 10},{29 + s / 10},{s}00,{m},{10 * s + m}" for m in range(1, 13) for s in (1, 2, 3)]
    return "\n".join(["station,lon,lat,elevation,month,value", *lines])


def test_twelve_lines_a_station(tmp_path: Path) -> None:
    of = load(written(tmp_path, long_table()))
    assert of.names == ("s1", "s2", "s3")
    np.testing.assert_array_equal(of.values, np.arange(1, 13)[:, None] + [10, 20, 30])


def test_twelve_columns_of_other_names_in_gbk_with_blank_lines_and_a_year(tmp_path: Path) -> None:
    months = [f"{m}月" for m in range(1, 13)]
    lines = [",".join(["站号", "经度", "纬度", "年份", *months])]
    for year in (2021, 2022):
        for s in (1, 2, 3):
            row = [f"s{s}", f" {103 + s} ", str(29 + s), str(year), *[str(year + s * m) for m in range(1, 13)]]
            lines += [",".join(row), ""]
    path = written(tmp_path, "\n".join(lines), "gb18030")
    columns = Columns(station="站号", lon="经度", lat="纬度", values=tuple(months))
    of = load(path, columns, only={"年份": "2022"}, encoding="gb18030")
    np.testing.assert_array_equal(of.values, 2022 + np.arange(1, 13)[:, None] * [1, 2, 3])
    assert np.isnan(of.elevation).all()
    assert refused(load, path, columns) == ["stations-encoding 站点.csv"]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert load(written(tmp_path, PLAIN, "utf-8-sig")).names[0] == "56386"


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("56386,103.75", "56386,", ["stations-place-missing 站点.csv:2"]),
        ("29.57", "2934", ["stations-place-range 站点.csv:2"]),
        ("424", "low", ["stations-number 站点.csv:2"]),
        ("1200", "1,200", ["stations-line 站点.csv:2"]),
        (",1700", "", ["stations-line 站点.csv:3"]),
        ("1200", "inf", ["stations-number 站点.csv:2"]),
        ("56386", "", ["stations-name-missing 站点.csv:2"]),
        ("56385,103.33,29.52,3047", "56386,103.75,29.57,424", ["stations-duplicate 站点.csv:3"]),
        ("56385", "56386", ["stations-moved 站点.csv:3", "stations-duplicate 站点.csv:3"]),
        ("103.33,29.52", "103.75,29.57", ["stations-same-place 站点.csv"]),
        ("1700", "999999", ["stations-few 站点.csv"]),
        ("value", "rain", ["stations-column-missing 站点.csv"]),
        ("lon,lat", "x,y", ["stations-column-missing 站点.csv", "stations-column-missing 站点.csv"]),
        ("elevation", "lat", ["stations-column-twice 站点.csv"]),
    ],
)
def test_problems_of_a_table(tmp_path: Path, old: str, new: str, problems: list[str]) -> None:
    path = written(
        tmp_path, PLAIN.replace("56387,103.27,29.24,640,", "56387,103.27,29.24,640,1000").replace(old, new, 1)
    )
    if problems == ["stations-few 站点.csv"]:
        path = written(tmp_path, PLAIN.replace(old, new, 1))
    assert refused(load, path) == problems


def test_problems_of_months(tmp_path: Path) -> None:
    text = long_table().replace("s2,103.2,29.2,200,5,25\n", "").replace("s1,103.1,29.1,100,3,", "s1,103.1,29.1,100,13,")
    assert refused(load, written(tmp_path, text)) == [
        "stations-month 站点.csv:8",
        "stations-month-absent 站点.csv",
        "stations-month-absent 站点.csv",
        "stations-few 站点.csv",
        "stations-few 站点.csv",
    ]


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    text = PLAIN.replace("424", "low").replace("29.52", "2952").replace("56480,103.95", "56480,")
    found = refused(load, written(tmp_path, text))
    assert len(found) == 3


def test_a_table_that_is_not_there_or_empty(tmp_path: Path) -> None:
    assert refused(load, tmp_path / "no.csv") == ["stations-file-missing no.csv"]
    assert len(refused(load, written(tmp_path, ""))) == 4
    assert refused(load, written(tmp_path, "station,lon,lat,value\n")) == ["stations-few 站点.csv"]


def test_every_code_has_words_and_every_word_a_code() -> None:
    folder = Path(stations.__file__).parent
    source = "".join(p.read_text("utf-8") for p in folder.glob("*.py"))
    known = tomllib.loads((folder.parent / "locale/fields.toml").read_text("utf-8"))["problem"]
    for code in known:
        assert f'"{code}"' in source
