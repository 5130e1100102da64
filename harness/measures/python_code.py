"""A user's Python file: imported alone, out of its text, so that what runs is what was hashed."""

from __future__ import annotations

import ast
import difflib
import hashlib
import linecache
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature
from types import ModuleType
from typing import Any

from harness.versions import version_of_import

_STANDS_ALONE = (
    "a metric's file stands alone: it can import what is installed, and nothing that lies beside it"
)


@dataclass(frozen=True, slots=True)
class PythonCode:
    """The text of a file of functions."""

    name: str
    """Name of the file, as messages show it."""
    text: str
    """What stands in it."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def function(self, name: str) -> Callable[..., Any]:
        """One of its functions, that takes item, reply and target.

        Raises:
            ValueError: the text is not Python, cannot be imported, or has no such function.
        """
        module = self._module()
        found = getattr(module, name, None)
        if found is None:
            known = [key for key, value in vars(module).items() if _is_own(value, module)]
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(
                f"{self.name} has no function {name}{hint} (it has {', '.join(known) or 'none'})"
            )
        if not callable(found):
            raise ValueError(f"{self.name}: {name} is no function, but a {type(found).__name__}")
        try:
            signature(found).bind({}, "", "")
        except TypeError:
            raise ValueError(
                f"{self.name}: {name}{signature(found)} cannot be called with three values; a "
                "metric takes (item, reply, target)"
            ) from None
        except ValueError:
            # What is written in C may not tell; the first call does.
            pass
        function: Callable[..., Any] = found
        return function

    def fault(self, error: BaseException) -> str:
        """An error in it, with the line of the file that it came through last."""
        what = f"{type(error).__name__}: {error}".rstrip(": ")[:300]
        frames = traceback.extract_tb(error.__traceback__)
        mine = [frame for frame in frames if frame.filename == self._file]
        if not mine or mine[-1].lineno is None:
            return f"{what} (in {self.name})"
        line = mine[-1].lineno
        lines = self.text.splitlines()
        shown = lines[line - 1].strip() if line <= len(lines) else ""
        return f"{what} ({self.name}:{line}: {shown})"

    def packages(self) -> dict[str, str]:
        """Installed packages that it imports by name -> version; those of unknown version empty."""
        names: set[str] = set()
        for node in ast.walk(ast.parse(self.text)):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
        own = {*sys.stdlib_module_names, "harness"}
        return {name: version_of_import(name) for name in sorted(names - own)}

    @property
    def _file(self) -> str:
        # Not the path, which is another on another machine, nor one that a debugger would open.
        return f"<{self.name} {self.sha256[:12]}>"

    def _module(self) -> ModuleType:
        return _imported(self)


@lru_cache(maxsize=64)
def _imported(code: PythonCode) -> ModuleType:
    try:
        compiled = compile(code.text, code._file, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ValueError(
            f"{code.name}:{error.lineno or 1}: not valid Python: {error.msg}"
        ) from None
    except ValueError as error:
        raise ValueError(f"{code.name}: not valid Python: {error}") from None
    name = f"harness_metric_{code.sha256[:16]}"
    module = ModuleType(name)
    # Dataclasses and pickles look their module up.
    sys.modules[name] = module
    linecache.cache[code._file] = (
        len(code.text), None, code.text.splitlines(keepends=True), code._file,
    )  # fmt: skip
    try:
        exec(compiled, vars(module))  # noqa: S102 - the user named this file to be run
    except ImportError as error:
        del sys.modules[name]
        raise ValueError(f"importing it fails: {code.fault(error)}; {_STANDS_ALONE}") from error
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        hint = f"; {_STANDS_ALONE}" if isinstance(error, NameError) else ""
        raise ValueError(f"importing it fails: {code.fault(error)}{hint}") from error
    return module


def _is_own(value: object, module: ModuleType) -> bool:
    return callable(value) and getattr(value, "__module__", "") == module.__name__


__all__ = ["PythonCode"]
