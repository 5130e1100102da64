"""The package as a program, where the command is not on the path."""

import subprocess
import sys

from harness import __version__


def test_the_package_is_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "harness", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"harness, version {__version__}\n"
