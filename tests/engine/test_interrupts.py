"""An interrupt at the terminal reaches every process; only this one may say what it means."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.errors import interrupts_held

if sys.platform == "win32":
    pytest.skip("an interrupt is another thing there", allow_module_level=True)

SLOW = "import os, time\nos.write(2, b'importing\\n')\ntime.sleep(1)\n"
STARTING = """
import os, signal, sys, time
from multiprocessing import forkserver
from harness.engine import child
child.PRELOADED = ["slow_to_import"]
child.start_server()
print(forkserver._forkserver._forkserver_pid, flush=True)
time.sleep(3)
"""


def test_a_fork_server_that_still_imports_is_not_interrupted(tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    places = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    with subprocess.Popen(
        [sys.executable, "-c", STARTING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": places},
    ) as process:
        assert process.stdout and process.stderr
        server = int(process.stdout.readline())
        assert process.stderr.readline() == "importing\n"
        os.kill(server, signal.SIGINT)
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_an_interrupt_that_comes_meanwhile_comes_afterwards() -> None:
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts_held():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            reached.append("within")
        reached.append("afterwards")
    assert reached == ["within"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_is_started_in_a_thread_is_not_interrupted() -> None:
    ended: list[int] = []

    def start() -> None:
        with interrupts_held():
            sleeping = "import time; print(flush=True); time.sleep(0.3)"
            process = subprocess.Popen([sys.executable, "-c", sleeping], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        ended.append(process.wait())
        process.stdout.close()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert ended == [0]
