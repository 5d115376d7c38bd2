"""Where the data that ships with the program lies: in the wheel, or in a checkout."""

from __future__ import annotations

from functools import cache as cache_once
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
    path = Path(chosen).absolute() if chosen else platformdirs.user_cache_path("gep", appauthor=False)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


@cache_once
def program() -> str:
    """A hash of this program's own text: what any of its numbers may depend on beside their inputs."""
    import hashlib

    files = [*sorted(_PACKAGE.rglob("*.py")), _PACKAGE / "vocabulary.csv"]
    texts = (file.relative_to(_PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() for file in files)
    return hashlib.sha256(b"\0".join(texts)).hexdigest()
