"""The list of all test items as it is packed into the page, and the page's policy around it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.arms.samples import gather_samples
from harness.findings import Samples
from harness.report import ReportView, to_html, to_markdown
from harness.report.document import Explorer
from harness.report.formats.html import SCRIPT as SOURCE

from .example_study import NOW, findings, study, view_of
from .many_items import examples_only, many_samples
from .reading import Page


def explorer(view: ReportView) -> Explorer:
    return next(b for b in view.section("examples").blocks if isinstance(b, Explorer))


def packed(page: str) -> dict[str, Any]:
    found = re.search(r'id="explorer-data">([A-Za-z0-9+/=]+)</script>', page)
    assert found is not None
    read: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return read


def long_texts(samples: Samples, characters: int) -> Samples:
    texts = tuple(f"{at} " + "x" * characters for at in range(len(samples.texts)))
    return replace(samples, texts=texts)


@pytest.fixture(scope="module")
def page() -> str:
    return to_html(view_of(study(), findings(), now=NOW, samples=gather_samples(study())))


def test_the_page_holds_every_item_and_reply(page: str) -> None:
    samples, data = gather_samples(study()), packed(page)
    assert data["ids"] == [f"item {number} <&>" for number in range(24)] + ["unscored"]
    assert [run["name"] for run in data["runs"]] == ["few-shot", "lora"]
    lora = samples.arms[0]
    for at, output in enumerate(lora.runs[0].outputs):
        assert output is not None
        shown = data["texts"][data["runs"][1]["replies"][at]]
        assert shown.startswith(output[:8].partition("\x07")[0].partition("\u202e")[0])
    assert data["sides"][1]["scores"] == [row.value for row in study().items if row.arm == "lora"]
    assert data["start"] == [1, 0]


def test_hidden_characters_are_shown_by_name_before_they_are_packed(page: str) -> None:
    text = "".join(packed(page)["texts"])
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b]", text)
    assert "⟨U+202E⟩" in text and "<script>" in text


def test_each_seed_and_the_mean_over_seeds_can_be_compared() -> None:
    data = packed(to_html(examples_only(many_samples(50, 2, seeds=2))))
    names = ["mean of 2 seeds", "seed 1", "seed 2"]
    assert [side["name"] for side in data["sides"]] == [
        f"arm-{arm}, {name}" for arm in (0, 1) for name in names
    ]
    mean, first, second = data["sides"][:3]
    assert mean["scores"] == [
        (a + b) / 2 for a, b in zip(first["scores"], second["scores"], strict=True)
    ]
    assert mean["runs"] == [0, 1]
    assert data["start"] == [3, 0]


def test_long_texts_are_cut_and_say_by_how_much() -> None:
    view = examples_only(long_texts(many_samples(3, 2), 1_000_000))
    block = explorer(view)
    assert "3 texts longer than 4,000 characters are cut" in block.summary
    assert block.texts[block.inputs[0]].endswith("[cut: 996,002 more characters]")


def test_texts_are_cut_shorter_where_they_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.report.sections.explorer.CHARACTERS", 300_000)
    block = explorer(examples_only(long_texts(many_samples(200, 2), 2000)))
    assert "200 texts longer than 1,000 characters" in block.summary
    assert len(block.ids) == 200


def test_what_cannot_fit_is_left_out_by_hash_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.report.sections.explorer.CHARACTERS", 30_000)
    samples = many_samples(200, 2)
    block = explorer(examples_only(samples))
    shown = len(block.ids)
    assert 50 < shown < 200
    assert block.summary.startswith(f"{shown} of the 200 items of the test set, drawn by their")
    assert f"the other {200 - shown} are left out" in block.summary
    first = sorted(zip(samples.doc_hashes, samples.item_ids, strict=True))[:shown]
    assert set(block.ids) == {name for _, name in first}
    assert all(len(side.scores) == shown for side in block.sides)


def test_a_study_of_prompts_alone_lists_its_items_too() -> None:
    prompts = replace(findings(), arms=findings().arms[:2], primary=None)
    view = view_of(study(), prompts, now=NOW, samples=gather_samples(study()))
    assert len(explorer(view).ids) == 25


def test_markdown_says_where_the_list_is() -> None:
    view = view_of(study(), findings(), now=NOW, samples=gather_samples(study()))
    assert "All 25 items of the test set with the replies of 2 arms." in to_markdown(view)
    assert "listed in report.html" in to_markdown(view)


def test_the_policy_names_the_one_script_and_style_sheet_by_their_hashes(page: str) -> None:
    parsed = Page(page)
    policy = next(v for tag, _, v in parsed.attributes if v.startswith("default-src"))
    for kind, tag in (("script-src", "script"), ("style-src-elem", "style")):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert len(found) == 1
        digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-inline" not in policy.replace("style-src-attr 'unsafe-inline'", "")
    assert not re.search("unsafe-eval|https?:|data:|\\*", policy)


def test_a_page_without_items_runs_nothing() -> None:
    text = to_html(view_of(study(), findings(), now=NOW))
    assert "<script" not in text and "script-src" not in text


def test_the_script_writes_text_and_asks_nobody() -> None:
    source = SOURCE.read_text(encoding="utf-8")
    assert "textContent" in source
    banned = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|fetch\(|"
        r"XMLHttpRequest|WebSocket|import\(|https?:|localStorage|cookie|<!--|</script"
    )
    assert re.search(banned, source) is None
