"""Names of a package that load on first use, so that importing it stays cheap."""

import importlib
import sys


def lazy(package, home):
    """Make `__getattr__` and `__dir__` of the module `package`.

    Args:
        package: `__name__` of the package.
        home: Dict of public name -> sub-module where it lives.

    Example:

    >>> __getattr__, __dir__ = lazy(__name__, {"load": "latent.sampling"})
    """
    def getattr_(name):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{home[name]}"), name)

    def dir_():
        return sorted({*vars(sys.modules[package]), *home})

    return getattr_, dir_
