"""Colours for people who confuse red and green too: ecosystem types, and ramps for what rises and what has a sign.

The ramps are Brewer's YlGnBu, YlOrBr and PuOr, which are safe for them and in grey; money has another ramp than
quantities so that the two are not taken for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

QUANTITY = ("#edf5a9", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#0c2c84")
MONEY = ("#fff3b0", "#fedb7a", "#fec44f", "#fe9929", "#ec7014", "#cc4c02", "#8c2d04")
LESS = ("#fee0b6", "#fdb863", "#e08214", "#b35806", "#7f3b08")
MORE = ("#d8daeb", "#b2abd2", "#8073ac", "#542788", "#2d004b")

ECOSYSTEMS: Mapping[str, str] = {
    "forest": "#1b6b3a",
    "shrub": "#8fae5d",
    "grassland": "#dfe99a",
    "wetland": "#3b8ed0",
    "cropland": "#f2b84b",
    "garden": "#b07a2a",
    "town": "#d6336c",
    "desert": "#e9d8c0",
    "other": "#8f8f99",
}
_TYPES: Mapping[str, str] = {
    "forest.evergreen_broadleaf": "#0b4d2c",
    "forest.deciduous_broadleaf": "#4c9a3f",
    "forest.evergreen_needleleaf": "#1d7a6b",
    "forest.deciduous_needleleaf": "#8aa83b",
    "forest.mixed": "#74b58d",
    "forest.bamboo": "#b5d96b",
    "forest.sparse": "#c9e0c3",
    "wetland.marsh": "#2f6f8f",
    "wetland.lake": "#1f5fbf",
    "wetland.reservoir": "#5c9be0",
    "wetland.river": "#3b8ed0",
    "wetland.open_water": "#3b8ed0",
    "cropland.paddy": "#f8d98a",
    "cropland.dry": "#e8a33d",
}
SAME = "#ffffff"  # where nothing has changed
OTHER = "#7f7f7f"  # what is of no type


def ecosystem(name: str, types: Sequence[str]) -> str:
    """The colour of an ecosystem type: its own, or its parent's, paler the later it stands there among all `types`.

    >>> ecosystem("forest.bamboo", []), ecosystem("wetland.canal", ["wetland", "wetland.canal"])
    ('#b5d96b', '#76b0de')
    """
    known = {**ECOSYSTEMS, **_TYPES}
    if name in known or "." not in name:
        return known.get(name, OTHER)
    parent = name.rpartition(".")[0]
    own = [one for one in types if one.startswith(f"{parent}.") and one not in known]
    return mixed(ecosystem(parent, types), 0.6 * (own.index(name) + 1) / (len(own) + 1) if name in own else 0.0)


def mixed(colour: str, white: float) -> str:
    """A colour with a part of white, 0 to 1.

    >>> mixed("#000000", 0.5)
    '#808080'
    """
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in parts)


def spread(ramp: Sequence[str], count: int) -> list[str]:
    """So many colours of a ramp, from its first to its last."""
    return [ramp[round(k * (len(ramp) - 1) / max(1, count - 1))] for k in range(count)]


def signed(breaks: Sequence[float], ramp: Sequence[str], *, rising: bool = True) -> list[str]:
    """A colour for each class between the breaks: of the ramp, or of two that part at zero where there are both signs.

    `rising` says that the last class is above zero, as it is unless all is below.

    >>> signed([-5.0, 0.0, 5.0], QUANTITY)[1:3] == [LESS[0], MORE[0]]
    True
    """
    below = sum(limit <= 0 for limit in breaks) + (not rising)
    above = len(breaks) + 1 - below
    if not below:
        return spread(ramp, above)
    return [*reversed(spread(LESS, below)), *spread(MORE, above)]
