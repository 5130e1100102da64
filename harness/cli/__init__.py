"""The command line: parse, call, print. Commands import what they need when they run."""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from harness.cli.options import near
from harness.cli.printing import say, tell
from harness.cli.problems import problem_lines
from harness.errors import (
    HarnessError,
    InputError,
    NoRoomError,
    UnwritableError,
    is_no_room,
    is_refused,
    refusal,
)
from harness.versions import __version__

# Name -> (module, help line): listing the commands imports none of them.
COMMANDS = {
    "init": "Write a commented experiment for your own file.",
    "check": "Validate an experiment and audit its data; trains nothing.",
    "plan": "Say what an experiment will take: time, tokens, money, disk.",
    "run": "Run an experiment, or go on with one that was stopped.",
    "watch": "Watch a study while another process runs it.",
    "status": "Show the studies in a store: how far each is, and its verdict.",
    "report": "Write the report of an experiment: HTML, Markdown, terminal.",
    "judge": "Write replies for people to mark, to hold a judge against them.",
    "compare": "Compare several experiments in one report.",
    "query": "Run an SQL query on the store.",
    "ask": "Answer rows with the winner, exactly as it was scored.",
    "serve": "Serve the winner with an OpenAI-compatible server.",
    "verify": "Hold what is served or shipped against what was scored.",
    "export": "Write the winner for use, or a study for other programs.",
    "rm": "Remove studies from a store, with their folders.",
    "gc": "Free the disk of trained weights that no study names.",
    "doctor": "Check this machine: versions, devices, caches, packaged files.",
}
SHOWN_PROBLEMS = 25
INTERRUPTED = 130
TERMINATED = 143
STOPPED = "Stopped. What was finished is kept: the same command goes on from there."


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"harness.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def group() -> None:
    """Should we fine-tune a language model on our data, how, and what do we gain and lose?

    \b
    Start:   harness run experiments/quickstart.yaml
    Yours:   harness init tickets.csv --text message --answer label
    """


class Terminated(BaseException):
    """The process was asked to end, by a scheduler or by ``kill``."""


def _terminate(number: int, frame: FrameType | None) -> None:
    # Once: a second request ends the process at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated


def _told(error: OSError) -> HarnessError | None:
    """What to say where the system refused, wherever it did: a report, a cache, a lock."""
    if is_no_room(error):
        return NoRoomError(error.filename or "a file", error.strerror or error)
    if error.filename is None and isinstance(error, FileNotFoundError) and not _is_somewhere():
        return UnwritableError("the working directory was removed; change to another one")
    if error.filename is None or not is_refused(error):
        return None
    remedy = "give a place that can be read and written"
    return UnwritableError(refusal(error.filename, error, remedy))


def _is_somewhere() -> bool:
    """Whether the working directory is still there."""
    try:
        return Path.cwd().is_dir()
    except OSError:
        return False


def main() -> None:
    """Entry point: errors meant for the user are printed without a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = group.main(standalone_mode=False)
    except click.exceptions.Abort as error:
        # click's own word for Ctrl-C, and for a question that was not answered.
        stopped = STOPPED if isinstance(error.__cause__, KeyboardInterrupt) else "Stopped."
        say(stopped, err=True)
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        say(STOPPED, err=True)
        sys.exit(INTERRUPTED)
    except Terminated:
        say(STOPPED, err=True)
        sys.exit(TERMINATED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except InputError as error:
        for line in problem_lines(error.problems, "error", SHOWN_PROBLEMS):
            tell(line, err=True)
        sys.exit(error.exit_code)
    except HarnessError as error:
        tell(near(f"error: {error}"), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        failure = _told(error)
        if failure is None:
            raise
        tell(near(f"error: {failure}"), err=True)
        sys.exit(failure.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
