"""A command in a terminal of its own, of a given width, as a person has one."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass

# What moves the cursor, colours text, or hides the cursor.
_COMMANDS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a terminal was sent."""

    code: int
    """Exit code of the program."""
    text: str
    """All that it was sent, without commands to it; each drawing of a line that moves stands."""

    @property
    def lines(self) -> list[str]:
        """Every line that was ever drawn."""
        return [line for line in re.split(r"[\r\n]+", self.text) if line.strip()]


def in_terminal(
    program: str,
    columns: int,
    *,
    interrupt_at: str | None = None,
    seconds: float = 400.0,
) -> Shown:
    """Run a Python program in a terminal; Ctrl-C is pressed once ``interrupt_at`` was shown."""
    child, master = pty.fork()
    if child == 0:
        arguments = [sys.executable, "-c", program]
        # What the tests themselves were told of a terminal is none of its.
        own = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        os.execve(sys.executable, arguments, {**own, "TERM": "xterm"})  # noqa: S606
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    sent, pressed, until = b"", False, time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        # A server that the program started may hold the terminal open after it.
        while select.select([master], [], [], 0 if ended else 0.2)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:  # nobody holds it any more
                part = b""
            if not part:
                break
            sent += part
            if interrupt_at and not pressed and interrupt_at.encode() in sent:
                pressed = True
                os.write(master, b"\x03")
        if ended:
            os.close(master)
            text = sent.decode("utf-8", "replace")
            return Shown(os.waitstatus_to_exitcode(status), _COMMANDS.sub("", text))
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            raise TimeoutError(sent.decode("utf-8", "replace")[-2000:])
