"""Ecosystem product value 生态产品总值: from a stack of rasters to a ledger of quantities and yuan.

The Python API, imported when first asked for: `open_stack`, `evaluate`, `Ledger`, `frame`, `GepError`, `Problem`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gep.errors import GepError, Problem
    from gep.exports import frame
    from gep.lazy import evaluate
    from gep.ledger import Ledger
    from gep.stack import open_stack

__version__ = "0.1.0"
__all__ = ["GepError", "Ledger", "Problem", "evaluate", "frame", "open_stack"]

_HOME = {
    "GepError": "errors",
    "Ledger": "ledger",
    "frame": "exports",
    "Problem": "errors",
    "evaluate": "lazy",
    "open_stack": "stack",
}


def __getattr__(name: str) -> Any:
    """Import a name of the API when it is used, so that `gep --help` pays for none of them."""
    if name not in _HOME:
        raise AttributeError(f"module 'gep' has no attribute {name!r}")
    return getattr(import_module(f"gep.{_HOME[name]}"), name)
