"""Parts and maps: whole or not there, the same bytes however the grid is cut, and valid as COGs."""

from __future__ import annotations

import resource
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from gep import cog, maps, tiles, words
from gep.errors import GepError
from gep.grid import Grid, Window

Reals = NDArray[np.float32]
NAME = "water|water_conservation"
STYLE = maps.Style("水源涵养量", "mm/year")
TAGS = {
    "units": "mm/year",
    "source": "synthetic & <合成>",
    "long_name": "water retention",
    "long_name_zh": "水源涵养量",
}


CODEC = {
    "driver": "COG",
    "COMPRESS": "ZSTD",
    "LEVEL": "1",
    "PREDICTOR": "FLOATING_POINT",
    "BLOCKSIZE": "512",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
}


def grid(rows: int, cols: int) -> Grid:
    return Grid(rows, cols, 34_500_000.0, 3_330_000.0, 30.0, 30.0, "EPSG:4522")


def field(rows: int, cols: int) -> Reals:
    """A smooth field with noise, both signs and holes."""
    y, x = np.mgrid[:rows, :cols]
    values = 300 * np.sin(x / 90) * np.cos(y / 70) + 200 + np.random.default_rng(1).normal(0, 20, (rows, cols))
    values[(x // 37 + y // 29) % 11 == 0] = np.nan
    return np.asarray(values, np.float32)


def spool(folder: Path, values: Reals, rows: int, cols: int) -> list[tuple[int, Window]]:
    """Write all parts of a grid cut into windows of rows × cols."""
    folder.mkdir(parents=True, exist_ok=True)
    windows = list(enumerate(grid(*values.shape).windows(rows, cols)))
    for number, w in windows:
        part = values[w.row : w.row + w.rows, w.col : w.col + w.cols]
        tiled = maps.tiled(grid(*values.shape), rows, cols)
        maps.write_part(folder, number, w, {NAME: part}, f"sums of {number}".encode(), tiled=tiled)
    return windows


def make(folder: Path, values: Reals, rows: int, cols: int, out: Path) -> Path:
    windows = spool(folder, values, rows, cols)
    maps.assemble(folder, grid(*values.shape), windows, NAME, out, TAGS, STYLE)
    return out


# --- parts


def predicted(data: bytes) -> Reals:
    """The cells of a compressed tile, decoded here once more: Zstandard, then TIFF's predictor 3 undone."""
    raw = np.frombuffer(zstandard.ZstdDecompressor().decompress(data), np.uint8).reshape(512, 2048)
    planes = np.cumsum(raw, axis=1, dtype=np.uint8).reshape(512, 4, 512)
    return np.ascontiguousarray(planes[:, ::-1].transpose(0, 2, 1)).view("<f4")[..., 0]


@given(st.integers(1, 512), st.integers(1, 512), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_a_tile_is_its_cells_bit_by_bit(rows: int, cols: int, seed: int) -> None:
    cells = np.random.default_rng(seed).integers(0, 2**32, (rows, cols), np.uint32).view(np.float32)
    again = predicted(tiles.tile(cells).data)
    np.testing.assert_array_equal(again[:rows, :cols].view(np.uint32), cells.view(np.uint32))
    assert np.isnan(again[rows:]).all()
    assert np.isnan(again[:, cols:]).all()


def test_windows_of_whole_tiles_are_tiled() -> None:
    where = grid(1100, 700)
    assert maps.tiled(where, 512, 512)
    assert maps.tiled(where, 1024, 700)
    assert maps.tiled(where, 1100, 700)
    assert not maps.tiled(where, 256, 512)
    assert not maps.tiled(where, 512, 600)


def test_sums_come_back_when_the_part_is_whole(tmp_path: Path) -> None:
    (_, window), *_ = spool(tmp_path, field(60, 40), 60, 40)
    assert maps.read_sums(tmp_path, 0, [NAME]) == b"sums of 0"
    assert maps.read_sums(tmp_path, 0, [NAME], window) == b"sums of 0"
    assert maps.read_sums(tmp_path, 0, []) == b"sums of 0"


def test_no_sums_of_a_part_that_is_absent_or_another(tmp_path: Path) -> None:
    assert maps.read_sums(tmp_path, 0, [NAME]) is None
    spool(tmp_path, field(60, 40), 60, 40)
    assert maps.read_sums(tmp_path, 1, [NAME]) is None
    assert maps.read_sums(tmp_path, 0, [NAME, "another"]) is None
    assert maps.read_sums(tmp_path, 0, [NAME], Window(60, 0, 60, 40)) is None


@pytest.mark.parametrize("rows", [600, 400], ids=["tiles", "cells"])
@pytest.mark.parametrize("kind", ["map", "sums", "json"])
@pytest.mark.parametrize("harm", ["gone", "empty", "short", "long", "flipped"])
def test_damage_is_seen_wherever_it_is(tmp_path: Path, kind: str, harm: str, rows: int) -> None:
    spool(tmp_path, field(600, 300), rows, 300)  # more than one fold of the checksum
    path = min(tmp_path.glob(f"0000000*.{kind}"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    harmed = {"empty": b"", "short": bytes(data[:-1]), "long": bytes(data) + b"\0", "flipped": bytes(data)}
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(harmed[harm])
    assert maps.read_sums(tmp_path, 0, [NAME]) is None


@given(st.integers(0, 400 * 300 * 4 - 1), st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_any_flipped_bit_changes_the_checksum(byte: int, bit: int) -> None:
    data = np.random.default_rng(2).integers(0, 256, 400 * 300 * 4, np.uint8)
    before = maps._checksum(data.tobytes())
    data[byte] ^= 1 << bit
    assert maps._checksum(data.tobytes()) != before


def test_twin_pages_that_are_zeroed_change_the_checksum() -> None:
    """Exclusive or alone would not see it."""
    page = np.random.default_rng(3).integers(0, 256, 8 * maps._LANES, np.uint8)
    assert maps._checksum(page.tobytes() * 2) != maps._checksum(bytes(2 * page.size))


def test_the_checksum_file_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = maps.write_whole

    def seen(path: Path, data: bytes) -> None:
        written.append(path.suffix)
        write(path, data)

    monkeypatch.setattr(maps, "write_whole", seen)
    spool(tmp_path, field(8, 8), 8, 8)
    assert written == [".map", ".sums", ".json"]


# --- assembly


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Reals]:
    folder = tmp_path_factory.mktemp("地图 一")
    values = field(1300, 2100)
    return make(folder / ".run", values, 512, 2100, folder / "water_conservation_2020.tif"), values


def test_the_map_is_every_cell_of_the_parts(made: tuple[Path, Reals]) -> None:
    path, values = made
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), values)
        assert dataset.crs.to_epsg() == 4522
        assert dataset.transform[:6] == (30.0, 0.0, 34_500_000.0, 0.0, -30.0, 3_330_000.0)
        assert np.isnan(dataset.nodata)
        assert dataset.units == ("mm/year",)
        assert {**dataset.tags(), "AREA_OR_POINT": "Area"} == {**TAGS, "AREA_OR_POINT": "Area"}


def test_the_map_is_a_valid_cog(made: tuple[Path, Reals]) -> None:
    path, _ = made
    with rasterio.open(path) as dataset:
        structure = dataset.tags(ns="IMAGE_STRUCTURE")
        assert structure["LAYOUT"] == "COG"
        assert structure["COMPRESSION"] == "ZSTD"
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.overviews(1) == [2, 4, 8]
    # The rules of the COG validators: directories first, from large to small; data from the smallest to the largest.
    directories, data = _layout(path)
    assert directories == sorted(directories)
    assert directories[0] < 1024
    assert data == sorted(data, reverse=True)
    assert max(directories) < min(data)


def _layout(path: Path) -> tuple[list[int], list[int]]:
    """Where each image directory and its first tile's data start in the file, full size first."""
    directories, data = [], []
    for level in (-1, 0, 1, 2):
        with rasterio.open(path, **({} if level < 0 else {"OVERVIEW_LEVEL": level})) as dataset:
            tags = dataset.tags(1, ns="TIFF") or {}
            directories.append(int(dataset.get_tag_item("IFD_OFFSET", "TIFF", 1)))
            data.append(int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", 1)))
            assert not tags or "IFD_OFFSET" in tags
    return directories, data


def test_a_map_beyond_four_gigabytes_has_offsets_of_eight_bytes(
    made: tuple[Path, Reals], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, values = made
    monkeypatch.setattr(cog, "_CLASSIC_LIMIT", 0)
    big = make(tmp_path / ".run", values, 512, 2100, tmp_path / "big.tif")
    assert path.read_bytes()[2] == 42
    assert big.read_bytes()[2] == 43
    with rasterio.open(path) as a, rasterio.open(big) as b:
        assert str((a.profile, a.tags(), a.tags(1))) == str((b.profile, b.tags(), b.tags(1)))
        np.testing.assert_array_equal(a.read(1), b.read(1))
    directories, data = _layout(big)
    assert data == sorted(data, reverse=True)
    assert max(directories) < min(data)


def test_overviews_are_means_of_valid_cells_as_gdal_makes_them(made: tuple[Path, Reals], tmp_path: Path) -> None:
    path, values = made
    theirs = tmp_path / "gdal.tif"
    shape = {"height": values.shape[0], "width": values.shape[1], "crs": "EPSG:4522", "nodata": np.nan}
    place = rasterio.Affine(*grid(*values.shape).transform)
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", count=1, dtype="float32", transform=place, **shape) as dataset:
            dataset.write(values, 1)
        rasterio.shutil.copy(memory.name, theirs, **CODEC)
    for level in range(2):  # 1300 and 2100 are even twice: there GDAL's boxes are two by two too
        with rasterio.open(path, OVERVIEW_LEVEL=level) as a, rasterio.open(theirs, OVERVIEW_LEVEL=level) as b:
            np.testing.assert_allclose(a.read(1), b.read(1), rtol=1e-5, atol=1e-3)
    with rasterio.open(path) as a, rasterio.open(theirs) as b:
        assert a.overviews(1) == b.overviews(1)
        assert str(a.profile) == str(b.profile)
    assert abs(path.stat().st_size / theirs.stat().st_size - 1) < 0.01


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_odd_edges_are_means_of_what_there_is(rows: int, cols: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fine = rng.normal(0, 100, (rows, cols)).astype(np.float32)
    fine[rng.random((rows, cols)) < 0.4] = np.nan
    made = tiles.tile(fine).half
    half = np.full((256, 256), np.nan, np.float32) if made is None else made
    inside = half[: -(-rows // 2), : -(-cols // 2)]
    assert np.isnan(half).sum() == half.size - (~np.isnan(inside)).sum()
    for (r, c), mean in np.ndenumerate(inside):
        box: Any = fine[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].astype(np.float64)
        valid = box[~np.isnan(box)]
        assert mean == pytest.approx(valid.mean() if valid.size else np.nan, rel=1e-6, abs=1e-4, nan_ok=True)


# --- codes ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_half_of_codes_is_the_most_frequent_known_one_that_comes_first(rows: int, cols: int, seed: int) -> None:
    fine = np.random.default_rng(seed).integers(0, 4, (rows, cols), np.uint8)
    made = tiles.code_tile(fine)
    raw = np.frombuffer(zstandard.ZstdDecompressor().decompress(made.data), np.uint8).reshape(512, 512)
    np.testing.assert_array_equal(raw[:rows, :cols], fine)
    assert made.statistics.count == (raw > 0).sum() == (fine > 0).sum()
    half = np.zeros((256, 256), np.uint8) if made.half is None else made.half
    for r, c in np.ndindex(8, 8):
        box = raw[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].ravel().tolist()
        known = [code for code in box if code]
        assert half[r, c] == max(known, key=lambda code: (box.count(code), -box.index(code)), default=0)


@pytest.mark.parametrize(("rows", "cols"), [(700, 1300), (300, 40)])
def test_a_map_of_codes_is_a_cog_with_its_colours_at_every_level(rows: int, cols: int, tmp_path: Path) -> None:
    fine = np.random.default_rng(7).integers(0, 3, (rows, cols), np.uint8)
    fine[:512, 512:1024] = 0  # nothing in a whole tile
    where, out, seen = grid(rows, cols), tmp_path / "a.tif", list[Window]()

    def cut() -> Iterator[Any]:
        for at in where.windows(512, 512):
            seen.append(at)
            yield fine[at.row : at.row + at.rows, at.col : at.col + at.cols]

    def said() -> cog.Description:
        assert len(seen) == -(-rows // 512) * -(-cols // 512)  # all cells were seen
        return cog.Description(where, {"a": "b"}, {}, "1", tiles.CODES, {1: (1, 2, 3, 255), 2: (9, 8, 7, 255)})

    maps.of_codes(where, cut(), said, out)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
    with rasterio.open(out) as dataset:
        np.testing.assert_array_equal(dataset.read(1), fine)
        assert (dataset.nodata, dataset.dtypes, dataset.tags()["a"]) == (0, ("uint8",), "b")
        levels = dataset.overviews(1)
        assert levels == ([2, 4] if rows == 700 else [])
        assert {"LAYOUT": "COG", "COMPRESSION": "ZSTD"}.items() <= dataset.tags(ns="IMAGE_STRUCTURE").items()
    for level in (None, *range(len(levels))):
        with rasterio.open(out, **({} if level is None else {"OVERVIEW_LEVEL": level})) as dataset:
            assert dataset.colormap(1)[2] == (9, 8, 7, 255)
            assert dataset.nodata == 0
            assert set(np.unique(dataset.read(1))) == {0, 1, 2}


def test_statistics_are_those_of_the_cells(made: tuple[Path, Reals]) -> None:
    path, values = made
    with rasterio.open(path) as dataset:
        tags = {key.removeprefix("STATISTICS_"): float(value) for key, value in dataset.tags(1).items()}
    valid: Any = values[~np.isnan(values)].astype(np.float64)
    expected = {"MINIMUM": valid.min(), "MAXIMUM": valid.max(), "MEAN": valid.mean(), "STDDEV": valid.std()}
    expected["VALID_PERCENT"] = 100 * valid.size / values.size
    assert tags == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("rows", "cols"), [(1300, 2100), (256, 256), (1000, 1000), (37, 2100), (700, 64)])
def test_how_the_grid_was_cut_does_not_show(made: tuple[Path, Reals], tmp_path: Path, rows: int, cols: int) -> None:
    path, values = made
    again = make(tmp_path / ".run", values, rows, cols, tmp_path / path.name)
    assert again.read_bytes() == path.read_bytes()
    assert again.with_suffix(".qml").read_bytes() == path.with_suffix(".qml").read_bytes()


def test_maps_in_threads_are_the_same_bytes(made: tuple[Path, Reals], tmp_path: Path) -> None:
    path, values = made
    windows = spool(tmp_path / ".run", values, 512, 512)

    def one(copy: int) -> bytes:
        out = tmp_path / f"{copy}.tif"
        # Maps of one run have different names; so have these, over the same parts.
        for part in sorted((tmp_path / ".run").glob("*water_conservation.map")):
            twin = part.with_name(f"{part.name.split('.')[0]}.{copy}.map")
            twin.write_bytes(part.read_bytes())
        maps.assemble(tmp_path / ".run", grid(*values.shape), windows, str(copy), out, TAGS, STYLE)
        return out.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(one, range(4))) == {path.read_bytes()}


def test_a_small_map_has_no_overviews(tmp_path: Path) -> None:
    values = field(200, 301)
    path = make(tmp_path / ".run", values, 64, 301, tmp_path / "small.tif")
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), values)
        assert dataset.overviews(1) == []
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert float(dataset.tags(1)["STATISTICS_MAXIMUM"]) == pytest.approx(float(np.nanmax(values)), rel=1e-8)


def test_a_map_without_values_says_nothing_of_them(tmp_path: Path) -> None:
    values = np.full((600, 40), np.nan, np.float32)
    path = make(tmp_path / ".run", values, 600, 40, tmp_path / "empty.tif")
    with rasterio.open(path) as dataset:
        assert np.isnan(dataset.read(1)).all()
        assert dataset.tags(1) == {}
    assert len(_items(path)) == 1


def test_assembly_leaves_the_parts_and_nothing_else(tmp_path: Path) -> None:
    values = field(1100, 1100)
    folder = tmp_path / ".run"
    windows = spool(folder, values, 512, 512)
    before = sorted(folder.iterdir())
    maps.assemble(folder, grid(1100, 1100), windows, NAME, tmp_path / "map.tif", TAGS, STYLE)
    assert sorted(folder.iterdir()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".run", "map.qml", "map.tif"]
    assert all(maps.read_sums(folder, number, [NAME], window) for number, window in windows)


@pytest.mark.parametrize("side", [300, 512])
@pytest.mark.parametrize("harm", ["gone", "short"])
def test_a_missing_part_is_a_problem_and_nothing_is_written(tmp_path: Path, harm: str, side: int) -> None:
    values = field(600, 600)
    windows = spool(tmp_path / ".run", values, side, side)
    part = sorted((tmp_path / ".run").glob("*.map"))[2]
    data = part.read_bytes()
    part.unlink() if harm == "gone" else part.write_bytes(data[:-4])
    with pytest.raises(GepError) as caught:
        maps.assemble(tmp_path / ".run", grid(600, 600), windows, NAME, tmp_path / "map.tif", TAGS, STYLE)
    assert [(p.code, p.where) for p in caught.value.problems] == [("map-part-missing", str(part))]
    assert [p.name for p in tmp_path.iterdir()] == [".run"]


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """A limit on the size of files stands in for a disk that fills up half-way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_a_problem_and_leaves_no_part(tmp_path: Path) -> None:
    with files_at_most(10_000), pytest.raises(GepError) as caught:
        spool(tmp_path, field(200, 200), 200, 200)
    assert [p.code for p in caught.value.problems] == ["map-not-written"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [2_000, 20_000, 1_500_000, 2_900_000, 3_900_000])
def test_a_full_disk_is_a_problem_and_leaves_no_map(tmp_path: Path, limit: int) -> None:
    windows = spool(tmp_path / ".run", field(1100, 1100), 512, 512)
    with files_at_most(limit), pytest.raises(GepError) as caught:
        maps.assemble(tmp_path / ".run", grid(1100, 1100), windows, NAME, tmp_path / "map.tif", TAGS, STYLE)
    assert [p.code for p in caught.value.problems] == ["map-not-written"]
    assert [p.name for p in tmp_path.iterdir()] == [".run"]
    assert all(path.suffix in (".map", ".sums", ".json") for path in (tmp_path / ".run").iterdir())


def test_a_map_that_was_cut_short_without_a_word_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = spool(tmp_path / ".run", field(1100, 1100), 512, 512)
    write = cog.write

    def short(file: BinaryIO, *what: Any) -> None:
        write(file, *what)
        file.truncate(file.tell() - 1000)

    monkeypatch.setattr(cog, "write", short)
    with pytest.raises(GepError) as caught:
        maps.assemble(tmp_path / ".run", grid(1100, 1100), windows, NAME, tmp_path / "map.tif", TAGS, STYLE)
    assert [p.code for p in caught.value.problems] == ["map-not-written"]
    assert [p.name for p in tmp_path.iterdir()] == [".run"]


def test_parts_of_a_finished_map_are_not_needed(tmp_path: Path) -> None:
    windows = spool(tmp_path, field(60, 40), 60, 40)
    maps.drop_parts(tmp_path, windows, NAME)
    assert not list(tmp_path.glob("*.map"))
    assert maps.read_sums(tmp_path, 0, [NAME], windows[0][1]) == b"sums of 0"
    assert maps.read_sums(tmp_path, 0, [NAME, "another"], windows[0][1]) is None


def test_an_old_map_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    out.write_bytes(b"old")
    windows = spool(tmp_path / ".run", field(60, 60), 60, 60)
    (tmp_path / ".map.tif.tmp").write_bytes(b"left by a run that was killed")
    maps.assemble(tmp_path / ".run", grid(60, 60), windows, NAME, out, TAGS, STYLE)
    with rasterio.open(out) as dataset:
        assert dataset.shape == (60, 60)
    assert not (tmp_path / ".map.tif.tmp").exists()


def test_geographic_grids_keep_their_place(tmp_path: Path) -> None:
    values = field(80, 90)
    where = Grid(80, 90, 103.25, 29.5, 1 / 120, 1 / 120, "EPSG:4326")
    windows = list(enumerate(where.windows(80, 90)))
    maps.write_part(tmp_path, 0, windows[0][1], {NAME: values}, b"", tiled=True)
    maps.assemble(tmp_path, where, windows, NAME, tmp_path / "map.tif", TAGS, STYLE)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.crs.to_epsg() == 4326
        assert dataset.transform[:6] == (1 / 120, 0.0, 103.25, 0.0, -1 / 120, 29.5)


# --- styles


def _items(path: Path) -> list[Mapping[str, str]]:
    root = ET.fromstring(path.with_suffix(".qml").read_text("utf-8"))  # noqa: S314  (we wrote it)
    return [item.attrib for item in root.iter("item")]


def test_the_style_has_rising_classes_with_chinese_labels(made: tuple[Path, Reals]) -> None:
    items = _items(made[0])
    limits = [float(item["value"]) for item in items]
    assert limits == sorted(set(limits))
    assert limits[-1] == np.inf
    assert 0.0 in limits
    assert len({item["color"] for item in items}) == len(items)
    assert items[0]["label"].startswith("水源涵养量（mm/year）≤ ")


def test_the_vocabulary_names_a_style() -> None:
    assert maps.style("water_conservation") == maps.Style("水源涵养量", "mm/year")
    with pytest.raises(KeyError):
        maps.style("nothing")


@given(st.lists(st.floats(-1e6, 1e6), unique=True, max_size=9).map(sorted))
def test_every_class_has_a_colour_and_a_label(breaks: list[float]) -> None:
    assert len(maps._colours(breaks)) == len(maps._labels(breaks, STYLE)) == len(breaks) + 1


def test_problems_have_words() -> None:
    assert {"map-not-written", "map-part-missing"} <= set(words.texts("problem"))
