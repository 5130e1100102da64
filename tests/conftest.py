"""Fixtures that tests of several rooms share, and marks that follow from fixtures."""

import gc
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.real_data import shared_data

SUITES = Path(__file__).resolve().parents[1] / "suites"

# How fast a machine draws examples says nothing about the code.
settings.register_profile(
    "any-machine", suppress_health_check=[HealthCheck.too_slow], deadline=None
)
settings.load_profile("any-machine")

__all__ = ["shared_data"]


@pytest.fixture(scope="module", autouse=True)
def _imports_are_not_looked_through_again() -> None:
    """As in a process that runs trials: after each of them memory is given back.

    To look through all that every room of tests imported takes longer than most trials here.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _imports_end_with_the_session() -> Iterator[None]:
    """Else libraries would say at the exit that they leak."""
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _a_store_is_asked_by_one_thread() -> None:
    """As all else here: there is a process of tests for each core."""
    if "harness.store.connection" in sys.modules:
        from harness.store import connection

        connection._QUIET["threads"] = 1


@pytest.fixture(scope="session", autouse=True)
def _an_empty_store_is_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """To make its tables and views takes ten times as long as to copy it."""
    if "harness.store.writer" not in sys.modules:
        yield
        return
    from harness.store.writer import StoreWriter

    make, empty = StoreWriter.__init__, tmp_path_factory.mktemp("store") / "empty.duckdb"

    def copied(self: StoreWriter, path: Path, *args: Any, **options: Any) -> None:
        if not (args or options or path.exists()) and path.parent.is_dir():
            if not empty.exists():
                make(self, empty)
            shutil.copyfile(empty, path)
        make(self, path, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoreWriter, "__init__", copied)
        yield


@pytest.fixture(scope="session", autouse=True)
def _packaged_suites_are_read_once() -> Iterator[None]:
    """Studies and checks ask for the texts of the same few hundred items again and again."""
    # What no collected test has imported is not worth the wait.
    places = ("harness.evaluation.suites.texts", "harness.study.item_sets", "harness.study.run")
    modules = [sys.modules[name] for name in places if name in sys.modules]
    if not modules:
        yield
        return
    from harness.evaluation.suites.find import Suite
    from harness.evaluation.suites.texts import SuiteTexts, suite_texts

    known: dict[tuple[str, int | None], SuiteTexts] = {}

    def once(suite: Suite, limit: int | None = None) -> SuiteTexts:
        if not suite.path.resolve().is_relative_to(SUITES):
            return suite_texts(suite, limit)
        key = (suite.fingerprint, limit)
        if key not in known:
            known[key] = suite_texts(suite, limit)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "suite_texts", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _a_chart_is_drawn_once() -> Iterator[None]:
    """Many reports of one study hold the same charts, and drawing is most of writing a page."""
    if "harness.report.formats.html" not in sys.modules:
        yield
        return
    from harness.report.charts.svg import draw
    from harness.report.document import Figure
    from harness.report.formats import html

    drawn: dict[str, str] = {}

    def once(figure: Figure, arms: Sequence[str]) -> str:
        key = repr((figure, arms))
        return drawn.get(key) or drawn.setdefault(key, draw(figure, arms))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "draw", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _a_draft_measures_nothing() -> Iterator[None]:
    """What a machine under test takes says nothing, and takes a minute to find out."""
    from harness.cli import init

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(init, "measured_seconds", lambda experiment: None)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of tiny models, which load weights too; begin with those that mostly wait.

    Beside tests that compute they cost little, and at the end a core would have nothing to do.
    """
    for item in items:
        if "tiny_models" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.weights)
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)
