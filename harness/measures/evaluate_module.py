"""A metric of the library ``evaluate``: one that comes along, a folder's, or a hub's."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from harness.answers.metrics import METRICS
from harness.measures.bundled_modules import BUNDLED, FOLDER
from harness.measures.measure import Measure, Scorer, UnscoredError, Values, check_own_name
from harness.measures.python_code import PythonCode
from harness.packaged.fetch import cache_folder
from harness.records import JsonValue, content_hash, write_whole
from harness.versions import version_of

Compute = Callable[[Sequence[str], Sequence[str]], float]
"""The function (replies, targets) -> value; raises :class:`UnscoredError`."""


class EvaluateMetric(Measure):
    """A metric of the library `evaluate`, computed for each item by itself, or of all together."""

    evaluate: str = Field(
        description="One that comes along (accuracy, bleu, chrf, f1, mae, matthews_correlation, "
        "mse, precision, recall, rouge, sacrebleu, ter); or a folder with its script, relative to "
        "the experiment file; or the name of one on the hub, whose code is fetched and run."
    )
    key: str | None = Field(
        None, description="Which of the values that it gives, where it gives several."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Passed on to its `compute`.")
    per_item: bool = Field(
        True,
        description="Whether it is computed for each item by itself. Else it has one value of all "
        "items, and cannot be the primary metric.",
    )
    files: dict[str, str] = Field(
        default_factory=dict,
        description="The module's own files, filled in when the experiment is read.",
    )
    packages: dict[str, str] = Field(
        default_factory=dict,
        description="Versions of `evaluate` and of what the module imports, filled in too.",
    )

    @model_validator(mode="before")
    @classmethod
    def _known_values(cls, values: Any) -> Any:
        """What is known of a module that comes along, where the experiment does not say."""
        name = values.get("evaluate") if isinstance(values, dict) else None
        if not isinstance(name, str) or name not in BUNDLED:
            return values
        known = BUNDLED[name]
        usual = {
            "range": known.bounds,
            "higher_is_better": known.higher_is_better,
            "meaning": known.meaning,
            "per_item": known.per_item,
        }
        return {**usual, **values}

    @field_validator("files")
    @classmethod
    def _plain_names_of_files(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if Path(name).name != name or not name.endswith(".py"):
                raise ValueError(f"files: {name!r} is not the plain name of a Python file")
        return files

    @property
    def own_name(self) -> str:
        """The value's key, or the module's name."""
        name = self.key or self._script
        return f"evaluate_{name}" if name in METRICS else name

    @property
    def is_per_item(self) -> bool:
        """Whether the experiment says so."""
        return self.per_item

    @property
    def is_located(self) -> bool:
        """Whether its files were read."""
        return bool(self.files)

    @property
    def kind_in_words(self) -> str:
        """The module, the library's version and the hash of its files."""
        digest = content_hash(dict(self.files))[:12]
        return (
            f"computed by {self._script} of evaluate {self.packages.get('evaluate', '')} "
            f"(SHA-256 {digest})"
        )

    @property
    def _script(self) -> str:
        return Path(self.evaluate).name.removesuffix(".py")

    def located(self, folder: Path) -> Self:
        """With the module's files.

        Raises:
            ValueError: there is no such module.
        """
        if self.names is None:
            check_own_name(self.own_name)
        place = (folder / Path(self.evaluate).expanduser()).resolve()
        if self.evaluate in BUNDLED:
            evaluate, files = self.evaluate, _texts([FOLDER / f"{self.evaluate}.py"])
        elif place.exists():
            script = place if place.suffix == ".py" else place / f"{place.name}.py"
            if not script.is_file():
                raise ValueError(f"{place} holds no {script.name}, which evaluate asks for")
            # What lies beside the script in a folder of its own belongs to it.
            files = _texts([script] if place == script else place.glob("*.py"))
            evaluate = str(place)
        elif self.files:
            evaluate, files = self.evaluate, dict(self.files)
        else:
            evaluate, files = self.evaluate, _texts(_fetched(self.evaluate).parent.glob("*.py"))
        if self.files and files != self.files:
            raise ValueError(
                f"{evaluate} is not what stands under `files`; remove `files` to use the module as "
                "it is now"
            )
        packages = {"evaluate": version_of("evaluate")}
        for name, text in files.items():
            try:
                packages |= PythonCode(name, text).packages()
            except SyntaxError as error:
                raise ValueError(f"{name}:{error.lineno}: not valid Python: {error.msg}") from None
        changes = {"evaluate": evaluate, "files": files, "packages": packages}
        return self.model_copy(update={**changes, "names": self.metric_names})

    def identity(self) -> dict[str, JsonValue]:
        """The module's files, its options and the packages; not where it lies."""
        return {
            "evaluate": self._script,
            "key": self.key,
            "options": dict(self.options),
            "per_item": self.per_item,
            "files": {
                name: hashlib.sha256(text.encode()).hexdigest()
                for name, text in sorted(self.files.items())
            },
            "packages": dict(self.packages),
            "version": self.version,
            "names": list(self.metric_names),
            "range": list(self.bounds),
            "higher_is_better": self.higher_is_better,
        }

    def scorer(self) -> Scorer:
        """Computes the metric of one item.

        Raises:
            ValueError: the module cannot be loaded.
        """
        compute = self.computer()

        def score(item: Mapping[str, JsonValue], reply: str, target: str) -> Values:
            return self.checked(compute([reply], [target]))

        return score

    def computer(self) -> Compute:
        """Computes the metric of some items together.

        Raises:
            ValueError: the module cannot be loaded.
        """
        import evaluate

        folder = cache_folder() / "metrics" / content_hash(dict(self.files), 40)
        for name, text in self.files.items():
            if not (folder / name).exists():
                folder.mkdir(parents=True, exist_ok=True)
                write_whole(folder / name, text)
        try:
            module = evaluate.load(str(folder / f"{self._script}.py"), keep_in_memory=True)
        except Exception as error:
            raise ValueError(
                f"evaluate cannot load {self._script}: {type(error).__name__}: {error}"
            ) from error

        def compute(replies: Sequence[str], targets: Sequence[str]) -> float:
            given = _as_declared(module.features, replies, targets)
            try:
                result = module.compute(**given, **self.options)
            except (Exception, SystemExit) as error:
                raise UnscoredError(
                    f"{type(error).__name__}: {error}"[:300] + f" (in {self._script})"
                ) from error
            value: float = self.checked(self._picked(result))[self.metric_names[0]]
            return value

        return compute

    def _picked(self, result: Any) -> Any:
        """The value meant among those that the module gives."""
        values = dict(result or {})
        if self.key is None and len(values) != 1:
            raise UnscoredError(
                f"gives several values ({', '.join(values)}); say which one is meant (key)"
            )
        if self.key is not None and self.key not in values:
            raise UnscoredError(f"gives {', '.join(values) or 'nothing'}, and no {self.key}")
        value = values[self.key] if self.key is not None else next(iter(values.values()))
        # Some give a list, a value an item.
        return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _as_declared(features: Any, replies: Sequence[str], targets: Sequence[str]) -> dict[str, Any]:
    """Texts in the form that a module asks for.

    Raises:
        UnscoredError: a number is asked for, and a text is none.
    """
    options = features if isinstance(features, list) else [features]
    chosen = next((one for one in options if {*one} == {"predictions", "references"}), None)
    if chosen is None:
        asked = ", ".join(options[0])
        raise UnscoredError(f"asks for {asked}; a metric here has predictions and references")
    given = {"predictions": replies, "references": targets}
    return {name: [_value(chosen[name], text) for text in given[name]] for name in given}


def _value(feature: Any, text: str) -> Any:
    inner = getattr(feature, "feature", None)
    if inner is not None:
        return [_value(inner, text)]
    kind = str(getattr(feature, "dtype", "string"))
    if kind.startswith(("int", "uint", "float")):
        try:
            return float(text) if kind.startswith("float") else int(text)
        except ValueError:
            raise UnscoredError(f"asks for numbers, and {text[:60]!r} is none") from None
    return text


def _texts(scripts: Iterable[Path]) -> dict[str, str]:
    """Name -> text of a module's files."""
    try:
        return {file.name: file.read_text(encoding="utf-8-sig") for file in sorted(scripts)}
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"a file of the metric cannot be read: {error}") from None


def _fetched(name: str) -> Path:
    """The script of a module on the hub, which is fetched."""
    from evaluate.loading import evaluation_module_factory

    try:
        found = evaluation_module_factory(name)
        module = importlib.import_module(found.module_path)
    except Exception as error:
        raise ValueError(
            f"{name!r} is neither one that comes along ({', '.join(BUNDLED)}) nor a folder here, "
            f"and could not be fetched from the hub ({type(error).__name__}: {str(error)[:200]}); "
            "give a folder with its script, or run once where the hub can be reached"
        ) from error
    return Path(str(module.__file__))


__all__ = ["Compute", "EvaluateMetric"]
