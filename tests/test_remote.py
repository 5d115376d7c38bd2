"""Rasters on a web server: what crosses the network, and what is believed of it."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.shutil
import xarray as xr
from affine import Affine

from gep import account, rasters, remote
from gep.account import Options
from gep.declaration import Layer
from gep.errors import GepError, Problem
from gep.grid import Window
from gep.layers import Files, Opening
from gep.prepare import Request
from gep.sample import Source, read_native
from tests.conftest import CRS, TABLES, write_zones

SIZE, CELL, LEFT, TOP = 2560, 30.0, 400_000.0, 3_240_000.0
BLOCK = 256
PART = (700, 900, 1000, 1100)  # row, col, rows, cols of the stack's grid in the files


@dataclass
class Served:
    """Files by name, and what was asked of them."""

    files: dict[str, bytes] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    asked: list[str] = field(default_factory=list)
    head: int = 200
    refused: dict[str, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)  # how many answers break off in the middle
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    served: Served

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        name, of = self.path.lstrip("/"), self.served
        of.asked.append(f"{self.command} {self.path}")
        if name in of.refused:
            self.send_error(of.refused[name])
            return
        if name not in of.files or (not body and of.head != 200):
            self.send_error(404 if name not in of.files else of.head)
            return
        data = of.files[name]
        said = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        first, last = (int(said[1]), min(int(said[2] or len(data)), len(data) - 1)) if said else (0, len(data) - 1)
        of.sent += last - first + 1 if body else 0  # before the client can know it
        self.send_response(206 if said else 200)
        if said:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        if of.marks.get(name, "one"):
            self.send_header("ETag", f'"{of.marks.get(name, "one")}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if body and of.broken.get(name, 0):
            of.broken[name] -= 1
            self.wfile.write(data[first : (first + last) // 2])
        elif body:
            self.wfile.write(data[first : last + 1])


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    handler = type("Own", (Handler,), {"served": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        rasters.close()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was fetched in another test is not found here."""
    monkeypatch.setenv("GEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cog(folder: Path, name: str, values: Any, **more: Any) -> bytes:
    """The bytes of a COG with blocks of 256 and overviews."""
    shape = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": values.dtype}
    place = {"crs": CRS, "transform": Affine(CELL, 0, LEFT, 0, -CELL, TOP), **more}
    with rasterio.open(folder / f"{name}.tmp.tif", "w", driver="GTiff", **shape, **place) as file:
        file.write(values, 1)
    rasterio.shutil.copy(
        folder / f"{name}.tmp.tif", folder / f"{name}.tif", driver="COG", COMPRESS="ZSTD", BLOCKSIZE="256"
    )
    (folder / f"{name}.tmp.tif").unlink()
    return (folder / f"{name}.tif").read_bytes()


def needed(path: Path, margin: int) -> int:
    """Compressed bytes of the blocks under the stack's grid and a margin, full resolution."""
    row, col, rows, cols = PART
    with rasterio.open(path) as file:
        return sum(
            int(file.get_tag_item(f"BLOCK_SIZE_{j}_{i}", "TIFF", 1))
            for (i, j), at in file.block_windows(1)
            if at.row_off < row + rows + margin and at.row_off + at.height > row - margin
            and at.col_off < col + cols + margin and at.col_off + at.width > col - margin
        )  # fmt: skip


STACK = """
[stack]
title = "far"
grid = {{ crs = "{crs}", resolution = 30, bounds = [{west}, {south}, {east}, {north}] }}
years = [2020]
region = "sichuan"
coefficients = "coefficients"
[zones]
path = "zones.geojson"
code = "code"
name = {{ zh = "name", en = "name" }}
[layers.land_cover]
path = "{at}land_cover.tif"
legend = "legend.csv"
[layers.precipitation]
path = "{at}precipitation.tif"
unit = "mm/year"
[layers.evapotranspiration]
path = "{at}evapotranspiration.tif"
unit = "mm/year"
[layers.soil_erodibility]
path = "{at}erodibility.tif"
unit = "t*ha*h/(ha*MJ*mm)"
[layers.rainfall_erosivity]
path = "{at}erosivity.tif"
unit = "MJ*mm/(ha*h*year)"
[layers.ndvi]
path = "{at}ndvi.tif"
unit = "1"
[layers.elevation]
path = "{at}elevation.tif"
unit = "m"
"""


def far_stack(folder: Path, at: str) -> Path:
    """A stack on a part of large files that lie `at` a folder or a server."""
    import shapely

    row, col, rows, cols = PART
    west, north = LEFT + col * CELL, TOP - row * CELL
    east, south = west + cols * CELL, north - rows * CELL
    folder.mkdir()
    write_zones(folder / "zones.geojson", {"01": shapely.box(west + 500, south + 500, east - 700, north - 900)})
    (folder / "legend.csv").write_text("code,ecosystem,zh,en,note\n1,forest,,,\n2,grassland,,,\n", "utf-8")
    (folder / "coefficients").mkdir()
    for name, text in TABLES.items():
        (folder / "coefficients" / f"{name}.csv").write_text(text, "utf-8")
    text = STACK.format(at=at, crs=CRS, west=west, south=south, east=east, north=north)
    (folder / "stack.toml").write_text(text, "utf-8")
    return folder / "stack.toml"


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("far")
    made = np.random.default_rng(7)
    ground = made.random((SIZE, SIZE), np.float32)
    cog(folder, "land_cover", made.integers(1, 3, (SIZE, SIZE)).astype(np.uint8), nodata=0)
    for name, low, high in (
        ("precipitation", 900, 1600), ("evapotranspiration", 300, 900), ("erodibility", 0.005, 0.05),
        ("erosivity", 3000, 9000), ("ndvi", 0.05, 0.9), ("elevation", 300, 900),
    ):  # fmt: skip
        values = (low + np.roll(ground, 37 * len(name) * int(low + 1) % SIZE, axis=1) * (high - low)).astype(np.float32)
        cog(folder, name, values, nodata=np.nan)
    return folder


def test_only_the_blocks_that_are_needed_cross_the_network_and_once(
    layers: Path, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in layers.glob("*.tif"):
        served.files[path.name] = path.read_bytes()
    stack = far_stack(tmp_path / "far", f"/vsicurl/{served.address}/")
    run = account.account(Request(stack), Options(tmp_path / "out", partial=True, workers=2)).run
    blocks = sum(needed(path, 8 if path.stem == "elevation" else 0) for path in layers.glob("*.tif"))
    assert 0.9 * blocks < served.sent <= 1.1 * blocks
    said = run.recorded["remote"][f"/vsicurl/{served.address}/precipitation.tif"]
    assert said["mark"] == '"one"'
    assert said["length"] == len(served.files["precipitation.tif"])
    assert said["bytes"] >= needed(layers / "precipitation.tif", 0)
    assert sum(one["bytes"] for one in run.recorded["remote"].values()) <= served.sent

    before = served.sent  # again: what is known of the files is asked, and nothing read but their heads
    again = account.account(Request(stack), Options(tmp_path / "again", partial=True, maps=False)).run
    assert again.id == run.id
    assert served.sent - before < 20 * 40_000
    monkeypatch.setenv("GEP_CACHE", str(tmp_path / "other"))
    near = far_stack(tmp_path / "near", f"{layers.as_posix()}/")
    local = account.account(Request(near), Options(tmp_path / "local", partial=True)).run
    assert local.id != run.id  # known by their bytes, not by what a server says
    theirs = (tmp_path / "out" / "ledger.csv").read_text("utf-8-sig").replace(run.id, "").splitlines()
    assert (tmp_path / "local" / "ledger.csv").read_text("utf-8-sig").replace(local.id, "").splitlines() == theirs


def small(tmp_path: Path, seed: int = 1) -> bytes:
    return cog(tmp_path, "small", np.random.default_rng(seed).random((600, 500), np.float32))


def whole(path: str) -> Any:
    return rasters.raw((rasters.Band(path, 1),), 600, Window(0, 0, 600, 500))[0]


def test_another_file_of_the_same_name_is_read_anew(served: Served, tmp_path: Path) -> None:
    served.files["a.tif"] = small(tmp_path)
    path = f"/vsicurl/{served.address}/a.tif"
    first, known = whole(path), rasters.content_hash(path)
    served.files["a.tif"], served.marks["a.tif"] = small(tmp_path, 2), "two"
    rasters.close()  # as a stack does when it is opened
    second = whole(path)
    assert rasters.content_hash(path) != known
    assert (first != second).mean() > 0.9
    with rasterio.open(tmp_path / "small.tif") as file:
        np.testing.assert_array_equal(second, file.read(1))


def test_a_file_replaced_while_it_is_read_is_a_problem_and_nothing_is_kept(
    served: Served, tmp_path: Path, own_cache: Path
) -> None:
    served.files["a.tif"] = small(tmp_path)
    path = f"/vsicurl/{served.address}/a.tif"
    rasters.content_hash(path)
    served.marks["a.tif"] = "two"
    with pytest.raises(GepError) as caught:
        whole(path)
    assert [p.code for p in caught.value.problems] == ["layer-changed"]
    assert not list(own_cache.rglob("*.tif"))


def test_a_file_without_a_mark_is_known_by_its_pixels_and_not_kept(
    served: Served, tmp_path: Path, own_cache: Path
) -> None:
    served.files["a.tif"], served.marks["a.tif"] = small(tmp_path), ""
    path = f"/vsicurl/{served.address}/a.tif"
    assert rasters.content_hash(path).startswith("pixels:")
    whole(path)
    assert not list(own_cache.rglob("*.tif"))


def test_a_server_without_head_is_asked_by_a_range(served: Served, tmp_path: Path) -> None:
    served.files["a.tif"], served.head = small(tmp_path), 403
    said = remote.ask(f"{served.address}/a.tif")
    assert (said.mark, said.length) == ('"one"', len(served.files["a.tif"]))
    assert served.sent == 1


def test_any_window_is_that_of_the_file_and_fetched_once(served: Served, tmp_path: Path) -> None:
    served.files["a.tif"] = small(tmp_path)
    path = f"/vsicurl/{served.address}/a.tif"
    with rasterio.open(tmp_path / "small.tif") as file:
        values = file.read(1)
    made = np.random.default_rng(3)
    for _ in range(20):
        row, col = int(made.integers(0, 599)), int(made.integers(0, 499))
        window = Window(row, col, int(made.integers(1, 601 - row)), int(made.integers(1, 501 - col)))
        found = rasters.raw((rasters.Band(path, 1),), 600, window)[0]
        np.testing.assert_array_equal(found, values[row : row + window.rows, col : col + window.cols])
    assert served.sent < len(served.files["a.tif"]) + 40_000


def test_what_is_not_there_is_a_problem(served: Served) -> None:
    with pytest.raises(GepError) as caught:
        remote.ask(f"{served.address}/none.tif")
    assert [p.code for p in caught.value.problems] == ["layer-unreadable"]


# --- NetCDF and Zarr -------------------------------------------------------------------------------------------------

SIDE, STEPS = 480, 24
CHUNK = (6, 96, 120)
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("v2.zarr", {"zarr_format": 2}),
    ("v3.zarr", {"zarr_format": 3}),
    ("shards.zarr", {"zarr_format": 3, "shards": (12, 192, 240)}),
    ("a.nc", {}),
]


def far_cube(served: Served, folder: Path, name: str, how: dict[str, Any]) -> tuple[str, Any]:
    """Two years of months on the server, and what is in them."""
    rain = np.random.default_rng(4).random((STEPS, SIDE, SIDE), np.float32)
    centres = (np.arange(SIDE) + 0.5) * CELL
    data = xr.Dataset(
        {"pr": (("time", "y", "x"), rain, {"units": "mm", "grid_mapping": "crs"})},
        coords={
            "time": xr.date_range("2019-01-01", periods=STEPS, freq="MS", use_cftime=True),
            "y": ("y", TOP - centres, {"units": "m", "standard_name": "projection_y_coordinate"}),
            "x": ("x", LEFT + centres, {"units": "m", "standard_name": "projection_x_coordinate"}),
        },
    )
    data["crs"] = ((), 0, pyproj.CRS(CRS).to_cf())
    out, form = folder / name, how.get("zarr_format")
    more = {"shards": how["shards"]} if "shards" in how else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are not in version 3's text
        if form:
            data.to_zarr(out, zarr_format=form, consolidated=True, encoding={"pr": {"chunks": CHUNK, **more}})
        else:
            data.to_netcdf(out, engine="h5netcdf", encoding={"pr": {"chunksizes": CHUNK, "zlib": True}})
    for file in out.rglob("*") if out.is_dir() else [out]:
        if file.is_file():
            served.files[file.relative_to(folder).as_posix()] = file.read_bytes()
    return f"{served.address}/{name}", rain


def far_source(path: str) -> Source:
    problems: list[Problem] = []
    found = Opening(Files(problems), Layer("precipitation", path, path, variable="pr"), "2020", "here").source()
    if found is None:
        raise GepError(problems)
    return found


@pytest.mark.parametrize(("name", "how"), FORMS, ids=[name for name, _ in FORMS])
def test_only_the_chunks_that_are_needed_cross_the_network_and_once(
    name: str, how: dict[str, Any], served: Served, tmp_path: Path
) -> None:
    path, rain = far_cube(served, tmp_path, name, how)
    source = far_source(path)
    assert len(source.bands) == 12
    before, window = served.sent, Window(96, 120, 192, 240)  # four chunks of eighty, for two of four half-years
    found = read_native(source, window)
    np.testing.assert_array_equal(found, rain[12:, 96:288, 120:360])
    chunks = 2 * 2 * 2 * sum(len(data) for at, data in served.files.items() if at.startswith(name)) / (4 * 5 * 4)
    assert 0.3 * chunks < served.sent - before <= 1.1 * chunks + (0 if how else 2 * 65536)
    before = served.sent
    rasters.close()
    np.testing.assert_array_equal(read_native(source, Window(100, 130, 50, 60)), rain[12:, 100:150, 130:190])
    assert served.sent == before
    said = rasters.fetched(source.bands[0].path)
    assert 0 < said["bytes"] <= served.sent
    assert said["mark"] == rasters.content_hash(source.bands[0].path)


def test_the_identity_of_a_far_zarr_is_of_every_member(served: Served, tmp_path: Path) -> None:
    path, _ = far_cube(served, tmp_path, *FORMS[0])
    source = far_source(path)
    known = rasters.content_hash(source.bands[0].path)
    assert known.startswith("etags:")
    assert len([one for one in served.asked if one.startswith("HEAD") and "/pr/" in one]) >= 4 * 5 * 4
    for name in ("v2.zarr/pr/3.4.3", "v2.zarr/pr/.zarray"):
        served.marks[name] = "two"
        rasters.close()
        assert rasters.content_hash(source.bands[0].path) != known
        known = rasters.content_hash(source.bands[0].path)
    served.files = {at: data for at, data in served.files.items() if at != "v2.zarr/pr/0.0.0"}
    rasters.close()
    assert rasters.content_hash(source.bands[0].path) != known
    served.marks = dict.fromkeys(served.files, "")
    rasters.close()
    unmarked = rasters.content_hash(source.bands[0].path)
    served.files["v2.zarr/pr/3.4.3"] += b"?"
    rasters.close()
    assert rasters.content_hash(source.bands[0].path) != unmarked


@pytest.mark.parametrize("status", [403, 410])
def test_a_chunk_that_is_refused_is_a_problem_and_one_that_is_gone_its_fill_value(
    status: int, served: Served, tmp_path: Path
) -> None:
    path, rain = far_cube(served, tmp_path, *FORMS[0])
    source = far_source(path)
    served.refused["v2.zarr/pr/2.0.0"] = status
    rasters.close()
    if status == 403:
        with pytest.raises(GepError, match="layer-unreadable"):
            read_native(source, Window(0, 0, 10, 10))
    else:
        found = read_native(source, Window(0, 0, 10, 10))
        assert np.isnan(found[:6]).all()
        np.testing.assert_array_equal(found[6:], rain[18:, :10, :10])


def test_a_chunk_replaced_after_the_first_question_is_a_problem(served: Served, tmp_path: Path) -> None:
    path, _ = far_cube(served, tmp_path, *FORMS[0])
    source = far_source(path)
    rasters.content_hash(source.bands[0].path)
    served.marks["v2.zarr/pr/2.2.2"] = "two"
    read_native(source, Window(0, 0, 10, 10))
    with pytest.raises(GepError, match="layer-changed"):
        read_native(source, Window(200, 250, 10, 10))


def test_a_far_store_that_is_not_there_or_not_consolidated_is_a_problem(served: Served, tmp_path: Path) -> None:
    with pytest.raises(GepError, match="layer-unreadable"):
        far_source(f"{served.address}/none.zarr")
    path, _ = far_cube(served, tmp_path, *FORMS[0])
    del served.files["v2.zarr/.zmetadata"]
    rasters.close()
    with pytest.raises(GepError, match="layer-unreadable"):
        far_source(path)


@pytest.mark.parametrize("span", [None, (100, 900)])
def test_an_answer_that_breaks_off_is_asked_for_again(served: Served, span: tuple[int, int] | None) -> None:
    served.files["a.bin"], served.broken["a.bin"] = bytes(range(256)) * 4, 2
    found = remote.member(f"{served.address}/a.bin", span)
    assert found == served.files["a.bin"][slice(*span) if span else slice(None)]
    assert served.broken["a.bin"] == 0


def test_an_answer_that_always_breaks_off_is_a_problem(served: Served) -> None:
    served.files["b.bin"], served.broken["b.bin"] = bytes(1000), 99
    with pytest.raises(GepError) as caught:
        remote.member(f"{served.address}/b.bin")
    assert [problem.code for problem in caught.value.problems] == ["layer-unreadable"]
