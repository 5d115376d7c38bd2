"""Where the data that ships with the program lies: in the wheel, or in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder() -> Path:
    """The folder of coefficient tables, prices, profiles and legends."""
    installed = _PACKAGE / "_data"
    return installed if installed.is_dir() else _PACKAGE.parent / "coefficients"


def cache() -> Path:
    """The user's cache folder (`GEP_CACHE`, else the system's), made with mode 0700: it will hold code that is run."""
    import os

    import platformdirs

    chosen = os.environ.get("GEP_CACHE")
    path = Path(chosen) if chosen else platformdirs.user_cache_path("gep", appauthor=False)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
