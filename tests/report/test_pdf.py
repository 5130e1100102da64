"""The report printed by a real browser, and what is said where there is none."""

from __future__ import annotations

import http.server
import re
import shutil
import struct
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.errors import HarnessError, InputError
from harness.report.formats.pdf import BROWSERS, find_browser, to_pdf, to_png
from tests.processes import gone

BROWSER = next((name for name in BROWSERS if shutil.which(name)), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="NO BROWSER: none of them is on PATH")
PAGE = "<!DOCTYPE html><title>t</title><style>p {{ break-after: page }}</style>{}"


@pytest.fixture(autouse=True)
def _undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_BROWSER", raising=False)


def script(path: Path, text: str) -> str:
    path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.browser
@needs_browser
def test_a_browser_prints_every_page_and_asks_nobody(tmp_path: Path) -> None:
    asked: list[str] = []

    class Noting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    images = "".join(f"<img src='http://{host}:{port}/x.png'>" for host in ("127.0.0.1",
                     "localhost"))  # fmt: skip
    content = to_pdf(PAGE.format(f"<p>one<p>two{images}<p>three"), tmp_path / "out")
    server.shutdown()
    server.server_close()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) == 3
    assert len(content) > 2000
    assert asked == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.browser
@needs_browser
def test_a_browser_takes_a_picture_of_the_top(tmp_path: Path) -> None:
    body = "<style>body {margin: 0; background: red}</style><p style='height: 5000px'>"
    content = to_png(PAGE.format(body), tmp_path / "out", width=320, height=200)
    # Width and height are in the picture's header.
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (320, 200)
    assert list((tmp_path / "out").iterdir()) == []


def test_no_browser_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.report.formats.pdf.shutil.which", lambda name: None)
    with pytest.raises(InputError, match="none was found on this machine: install Chromium"):
        find_browser()


def test_the_browser_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = script(tmp_path / "one", ""), script(tmp_path / "other", "")
    monkeypatch.setenv("HARNESS_BROWSER", one)
    assert find_browser() == one
    assert find_browser(other) == other
    with pytest.raises(InputError, match="--browser names 'none', which is no program"):
        find_browser("none")
    monkeypatch.setenv("HARNESS_BROWSER", "none")
    with pytest.raises(InputError, match="HARNESS_BROWSER names 'none'"):
        find_browser()


def test_a_browser_that_fails_is_quoted(tmp_path: Path) -> None:
    browser = script(tmp_path / "browser", "import sys; sys.exit('no display')")
    with pytest.raises(HarnessError, match=r"printed no PDF \(no display\)"):
        to_pdf("<p>x", tmp_path / "out", browser=browser)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are of POSIX")
def test_a_browser_that_hangs_is_ended_with_its_helpers(tmp_path: Path) -> None:
    noted = tmp_path / "helper"
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {noted}\nsleep 60", encoding="utf-8")
    browser.chmod(0o755)
    begun = time.monotonic()
    with pytest.raises(HarnessError, match="did not print the report within 1 seconds"):
        to_pdf("<p>x", tmp_path / "out", browser=str(browser), seconds=1)
    assert time.monotonic() - begun < 30
    assert gone([int(noted.read_text())])
