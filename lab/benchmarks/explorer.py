"""The report's list of test items in a real browser: seconds, milliseconds and file size.

    python -m lab.benchmarks.explorer [--items 20000] [--arms 6] [--words 40] [--runs 5]

Writes a report of drawn items (no two texts alike, half of the replies neither) and opens it in
the Chromium on PATH, each time in a new context. On the clock: from the start of loading until
the list can be used; from a change of a control until the list is drawn again. The wait after the
last key is not. Prints medians and, in brackets, the slowest.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from harness.report import to_html
from tests.report.many_items import examples_only, many_samples

# Everything that follows a change is done when its event has been handled.
CHANGE = """([id, value]) => {
    const control = document.getElementById('explorer-' + id);
    const start = performance.now();
    control.value = value;
    control.dispatchEvent(new Event('change', { bubbles: true }));
    document.body.getBoundingClientRect();
    return performance.now() - start;
}"""
SEARCH = """(words) => new Promise((resolve) => {
    const control = document.getElementById('explorer-words');
    control.value = words;
    const count = document.getElementById('explorer-count');
    const wait = window.setTimeout;
    window.setTimeout = (search) => wait(() => {
        const start = performance.now();
        search();
        document.body.getBoundingClientRect();
        resolve(performance.now() - start);
    });
    control.dispatchEvent(new Event('input', { bubbles: true }));
    window.setTimeout = wait;
})"""
READY = """() => new Promise((resolve) => {
    const look = () => document.getElementById('explorer-body').hidden
        ? requestAnimationFrame(look) : resolve(performance.now());
    look();
})"""
CHANGES = {
    "another arm": ("a", "3"),
    "outcome": ("outcome", "gained"),
    "validity": ("validity", "any"),
    "order": ("order", "loss"),
}
SEARCHES = {"first search": "needle", "next search": "w0123"}


def main() -> None:
    """Write, open, change, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--arms", type=int, default=6)
    parser.add_argument("--words", type=int, default=40, help="of each text")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not on PATH")
    view = examples_only(many_samples(given.items, given.arms, words=given.words))
    start = time.perf_counter()
    page = to_html(view)
    rendered = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "report.html"
        path.write_text(page, encoding="utf-8")
        print(f"{given.items:,} items, {given.arms} arms, {given.words} words a text")
        print(f"file size: {path.stat().st_size / 2**20:.1f} MiB; packed in {rendered:.1f} s")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print(f"Chromium {browser.version}, {given.runs} runs")
        seen: dict[str, list[float]] = {}
        for _ in range(given.runs):
            for name, taken in measure(browser, path).items():
                seen.setdefault(name, []).append(taken)
        browser.close()
    for name, times in seen.items():
        print(f"{name}: {statistics.median(times):.0f} ms ({max(times):.0f})")


def measure(browser: Browser, path: Path) -> dict[str, float]:
    """Milliseconds of each step, in a fresh context."""
    page: Page = browser.new_page()
    page.goto(path.as_uri(), wait_until="commit")
    found = {"load": float(page.evaluate(READY))}
    for name, change in CHANGES.items():
        found[name] = float(page.evaluate(CHANGE, list(change)))
        page.evaluate(CHANGE, ["outcome", "all"])
        page.evaluate(CHANGE, ["validity", "all"])
    for name, words in SEARCHES.items():
        found[name] = float(page.evaluate(SEARCH, words))
    page.close()
    return found


if __name__ == "__main__":
    main()
