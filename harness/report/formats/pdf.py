"""The report as PDF, or a picture of it: made by a browser of this machine, its network off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.errors import HarnessError, InputError

VARIABLE = "HARNESS_BROWSER"
SECONDS = 180.0
BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "microsoft-edge", "microsoft-edge-stable", "msedge",
    # Where they are installed without being on PATH.
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)  # fmt: skip
# Nothing is fetched, synchronised or reported: every name resolves to nothing, and what does not
# ask for a name meets a proxy that is not there.
OPTIONS = (
    "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-domain-reliability", "--disable-extensions",
    "--disable-sync", "--disable-breakpad", "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>", "--no-pdf-header-footer",
)  # fmt: skip
# Ending of what is made -> how a whole file of it begins.
MAGIC = {".pdf": b"%PDF-", ".png": b"\x89PNG"}
REMEDY = (
    f"install Chromium, Chrome or Edge, name one with --browser or {VARIABLE}, or print the HTML "
    "report from a browser"
)


def find_browser(named: str | None = None) -> str:
    """Path of the browser to print with: ``named``, else HARNESS_BROWSER, else the first found.

    Raises:
        InputError: there is none, or the one that was named is not there.
    """
    browser = named or os.environ.get(VARIABLE)
    if browser:
        path = shutil.which(browser)
        if path is None:
            source = "--browser" if named else VARIABLE
            raise InputError(
                f"{source} names {browser!r}, which is no program on this machine; give the path "
                "of Chromium, Chrome or Edge"
            )
        return path
    for name in BROWSERS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise InputError(f"a PDF is printed by a browser, and none was found on this machine: {REMEDY}")


def to_pdf(
    html: str, folder: Path, *, browser: str | None = None, seconds: float = SECONDS
) -> bytes:
    """The HTML document, printed.

    Args:
        html: a document that needs nothing but itself.
        folder: where a temporary folder may be made. The system's own is no place for it: a
            browser that is packaged apart from the system may not see that.
        browser: program to print with; see :func:`find_browser`.
        seconds: seconds that it may take.

    Raises:
        InputError: no browser.
        HarnessError: the browser failed or took too long.
    """
    return _made(".pdf", ("--print-to-pdf",), html, folder, find_browser(browser), seconds)


def to_png(
    html: str, folder: Path, *, width: int, height: int, browser: str | None = None
) -> bytes:
    """The top of the HTML document as a picture of ``width`` times ``height`` pixels.

    Raises:
        InputError: no browser.
        HarnessError: the browser failed or took too long.
    """
    options = (
        "--hide-scrollbars", "--force-device-scale-factor=1", f"--window-size={width},{height}",
        "--screenshot",
    )  # fmt: skip
    return _made(".png", options, html, folder, find_browser(browser), SECONDS)


def _made(
    suffix: str, options: Sequence[str], html: str, folder: Path, program: str, seconds: float
) -> bytes:
    """What the browser makes of the document; the last of the options takes the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix="printing-", dir=folder, ignore_cleanup_errors=True
    ) as name:
        place = Path(name).resolve()
        page, made = place / "report.html", place / f"report{suffix}"
        page.write_text(html, encoding="utf-8")
        command = [
            program, *OPTIONS, *_as_root(), f"--user-data-dir={place / 'profile'}",
            *options[:-1], f"{options[-1]}={made}", page.as_uri(),
        ]  # fmt: skip
        line = _run(command, place / "said.txt", seconds)
        content = made.read_bytes() if made.is_file() else b""
    if not content.startswith(MAGIC[suffix]):
        raise HarnessError(
            f"{program} printed no {suffix[1:].upper()}{f' ({line})' if line else ''}; try another "
            f"browser with --browser or {VARIABLE}, which may also be a script that adds options"
        )
    return content


def _as_root() -> tuple[str, ...]:
    # The sandbox refuses to work for root; the page is the program's own and runs no script.
    return ("--no-sandbox",) if hasattr(os, "getuid") and os.getuid() == 0 else ()


def _run(command: list[str], log: Path, seconds: float) -> str:
    """Run to its end, or end it with all that it started; the last line that it said."""
    with log.open("wb") as output:
        # A file, as a pipe would stay open as long as any of its helpers lives.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise HarnessError(
                f"{command[0]} did not print the report within {seconds:,.0f} seconds and was "
                "ended; try again, or another browser with --browser"
            ) from None
        finally:
            _end(process)
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _end(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


__all__ = ["find_browser", "to_pdf", "to_png"]
