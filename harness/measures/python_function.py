"""A function of the user's as a metric: ``python:FILE.py:FUNCTION``."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator

from harness.measures.declaration import declaration_of
from harness.measures.measure import Measure, Scorer, UnscoredError, Values, check_own_name
from harness.measures.python_code import PythonCode
from harness.records import JsonValue

FORM = "write it as python: FILE.py:FUNCTION"


class PythonMetric(Measure):
    """A function of (item, reply, target) in a Python file of the user's."""

    gives_several: ClassVar[bool] = True

    python: str = Field(
        description="`FILE.py:FUNCTION`: the function is called with (item, reply, target) and "
        "gives a number, or a mapping of `names` to numbers. The file is run: it is code that you "
        "trust. Relative to the experiment file."
    )
    code: str = Field(
        "",
        description="The file's text, filled in when the experiment is read: a study keeps it.",
    )
    packages: dict[str, str] = Field(
        default_factory=dict,
        description="Versions of the packages that the file imports, filled in with `code`.",
    )

    @field_validator("python")
    @classmethod
    def _file_and_function(cls, python: str) -> str:
        file, _, function = python.rpartition(":")
        if not file.endswith(".py") or not function.isidentifier():
            raise ValueError(f"{FORM}, and not {python!r}")
        return python

    @property
    def own_name(self) -> str:
        """The function's name."""
        return self.python.rpartition(":")[2]

    @property
    def reads_rows(self) -> bool:
        """It is handed the item's columns."""
        return True

    @property
    def kind_in_words(self) -> str:
        """The function, its file and that file's hash."""
        where = f"computed by {self.own_name} of {self._code.name}"
        version = f", version {self.version}" if self.version else ""
        return f"{where}{version} (SHA-256 {self._code.sha256[:12]})"

    def located(self, folder: Path) -> Self:
        """With the file's text and what the function declares of itself.

        Raises:
            ValueError: no such file or function, or what is declared twice differs.
        """
        if self.names is None:
            check_own_name(self.own_name)
        path = (folder / Path(self.python.rpartition(":")[0]).expanduser()).resolve()
        code = PythonCode(path.name, self._read(path))
        declared = declaration_of(code.function(self.own_name))
        updates: dict[str, Any] = {
            "python": f"{path}:{self.own_name}",
            "code": code.text,
            "packages": code.packages(),
        }
        for name in ("names", "label", "meaning", "higher_is_better", "version"):
            said = getattr(declared, name)
            if said is not None:
                updates[name] = self._agreed(name, name, said)
        updates.setdefault("names", self.metric_names)
        if declared.lowest is not None or declared.highest is not None:
            low = 0.0 if declared.lowest is None else declared.lowest
            high = 1.0 if declared.highest is None else declared.highest
            bounds = tuple(None if abs(end) == float("inf") else float(end) for end in (low, high))
            updates["bounds"] = self._agreed("bounds", "range", bounds)
        # Validated again, since names and bounds may be the decorator's.
        plain = self.model_dump(by_alias=True) | {
            "range" if name == "bounds" else name: value for name, value in updates.items()
        }
        return type(self).model_validate(plain)

    def _read(self, path: Path) -> str:
        if not path.is_file():
            if self.code:
                return self.code
            raise ValueError(f"no such file: {path}")
        try:
            # With or without the mark that some editors put before it.
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from None
        if self.code and text != self.code:
            raise ValueError(
                f"{path} is not what stands under `code`; remove `code` to use the file as it is "
                "now, or the file to use what stands there"
            )
        return text

    def _agreed(self, field: str, key: str, said: Any) -> Any:
        """What the decorator says, where the experiment does not say otherwise."""
        if field in self.model_fields_set and getattr(self, field) != said:
            raise ValueError(
                f"{key} is {getattr(self, field)!r} here, and {said!r} in the decorator of "
                f"{self.own_name}; say it once"
            )
        return said

    @property
    def is_located(self) -> bool:
        """Whether the file was read."""
        return bool(self.code)

    def identity(self) -> dict[str, JsonValue]:
        """The function, the file's content and the packages it imports; not where it lies."""
        return {
            "python": self.own_name,
            "code": hashlib.sha256(self.code.encode()).hexdigest(),
            "packages": dict(self.packages),
            "version": self.version,
            "names": list(self.metric_names),
            "range": list(self.bounds),
            "higher_is_better": self.higher_is_better,
        }

    def scorer(self) -> Scorer:
        """Calls the function; what goes wrong in it is the item's having no value.

        Raises:
            ValueError: the file cannot be imported here, as where a package is missing.
        """
        code = self._code
        function = code.function(self.own_name)

        def score(item: Mapping[str, JsonValue], reply: str, target: str) -> Values:
            # A copy, so that no call can change what the next one is handed.
            row = MappingProxyType(copy.deepcopy(dict(item)))
            try:
                result = function(row, reply, target)
            except (Exception, SystemExit) as error:
                raise UnscoredError(code.fault(error)) from error
            return self.checked(result)

        return score

    @property
    def _code(self) -> PythonCode:
        return PythonCode(Path(self.python.rpartition(":")[0]).name, self.code)


__all__ = ["FORM", "PythonMetric"]
