"""A forecast in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.forecast.estimate import NOTHING, Estimate, summed
from harness.forecast.findings import ArmForecast, Forecast
from harness.study.observer import ArmExplanation, Observer
from harness.wording import listed, mebibytes, money, plural, seconds

# In the order of the study: the base is scored once, and is no part of the sums below.
PHASES = ("bootstrap", "writing", "search", "finalist", "default", "curve", "latency")


class PlanObserver(Observer):
    """Says what is being prepared or measured."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def stage(self, text: str) -> None:
        """Print the stage."""
        self._console.print(f"[bold]{escape(text)}[/]")

    def warning(self, text: str) -> None:
        """Print the warning."""
        self._console.print(f"[yellow]warning:[/] {escape(text)}")


def print_forecast(forecast: Forecast, console: Console) -> None:
    """Tables of arms and servers, totals, warnings, and what the numbers rest on."""
    if not any(number.high for arm in forecast.arms for number in arm.trials.values()):
        console.print(f"Nothing is left to run: all {_known(forecast)} trials are known.")
        return
    console.print(_arms(forecast))
    if any(arm.server for arm in forecast.arms):
        console.print(_servers(forecast))
    if forecast.judges:
        console.print(_judges(forecast))
    for line in _totals(forecast):
        console.print(line)
    for warning in forecast.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    console.print("[bold]What this rests on[/]")
    for note in forecast.notes:
        console.print(f"  {escape(note)}")


def _written(forecast: Forecast) -> str:
    """What trials of some arm write before its search, where they do."""
    asked = {phase for arm in forecast.arms for phase in arm.trials}
    named = (("bootstrap", "reasoning for worked examples"), ("writing", "writing an instruction"))
    return "".join(f"{words} + " for phase, words in named if phase in asked)


def _arms(forecast: Forecast) -> Table:
    table = Table(
        title=f"{escape(forecast.name)} on {forecast.device}, {forecast.dtype}",
        caption=f"trials: {_written(forecast)}search + finalists + default settings + learning "
        "curves + timing",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("arm")
    table.add_column("trials")
    for name in ("trained", "scored", "minutes", "from", "to", forecast.currency, "MiB"):
        table.add_column(name, justify="right")
    for arm in forecast.arms:
        table.add_row(
            escape(arm.arm),
            _trials(arm),
            "?" if arm.train_tokens is None else _thousands(arm.train_tokens),
            _thousands(arm.scored_tokens),
            *_minutes(arm.seconds),
            "?" if arm.money is None else money(arm.money.expected),
            "" if arm.peak_mib is None else f"{arm.peak_mib.high:,.0f}",
        )
    table.add_section()
    table.add_row(
        "all",
        _count(forecast.trials),
        _thousands(summed(arm.train_tokens or NOTHING for arm in forecast.arms)),
        _thousands(summed(arm.scored_tokens for arm in forecast.arms)),
        *_minutes(forecast.seconds),
        money(forecast.money.expected),
        "",
    )
    return table


def _servers(forecast: Forecast) -> Table:
    table = Table(title="Asked of servers", title_justify="left")
    table.add_column("arm")
    for name in ("requests", "prompt tokens", "reply tokens", forecast.currency, "cap"):
        table.add_column(name, justify="right")
    for arm in forecast.arms:
        if arm.server:
            table.add_row(
                escape(arm.arm),
                f"{arm.server.requests.expected:,.0f}",
                _thousands(arm.server.prompt_tokens),
                _thousands(arm.server.completion_tokens),
                _range(arm.server.money, money),
                "none" if arm.server.cap is None else money(arm.server.cap),
            )
    return table


def _judges(forecast: Forecast) -> Table:
    table = Table(title="Asked of judges, at most", title_justify="left")
    table.add_column("judge")
    table.add_column("model")
    for name in ("marks", "tokens", "minutes", "from", "to", forecast.currency, "cap", "MiB"):
        table.add_column(name, justify="right")
    for judge in forecast.judges:
        table.add_row(
            escape(judge.judge),
            escape(judge.by),
            f"{judge.marks.high:,.0f}",
            _thousands(judge.tokens),
            *_minutes(judge.seconds),
            _range(judge.money, money),
            "none" if judge.cap is None else money(judge.cap),
            f"{judge.least_mib:,.0f}" if judge.least_mib else "",
        )
    return table


def _totals(forecast: Forecast) -> list[str]:
    minutes = round(forecast.seconds.expected / 60)
    time = f"About [bold]{plural(minutes, 'minute')}[/]" if minutes else "[bold]Under a minute[/]"
    sentences = [
        f"{time} ({forecast.seconds.low / 60:.0f} to {forecast.seconds.high / 60:.0f}) and "
        f"[bold]{money(forecast.money.expected, escape(forecast.currency))}[/]; results take "
        f"{_range(forecast.disk_mib, mebibytes)} of {mebibytes(forecast.free_mib)} free."
    ]
    if any(arm.seconds is None for arm in forecast.arms):
        sentences.append("[yellow]Arms whose time is not known are not in the totals.[/]")
    if forecast.known:
        sentences.append(
            f"{plural(_known(forecast), 'trial')} known already and not counted: "
            f"{listed(f'{number} of {escape(arm)}' for arm, number in forecast.known.items())}."
        )
    sentences.append(
        f"Measured in {seconds(forecast.measuring_seconds)}; "
        f"{mebibytes(forecast.available_mib)} of memory are available."
    )
    return sentences


def print_explanation(rows: Sequence[ArmExplanation], console: Console) -> None:
    """What is known of each arm, and what its first trial that is not lacks."""
    table = Table(title="What is known, and why the rest is run", title_justify="left")
    table.add_column("arm")
    table.add_column("known", justify="right")
    table.add_column("first trial to run: what differs from the nearest known one")
    for row in rows:
        table.add_row(escape(row.arm), str(row.known), escape(row.why))
    console.print(table)


def _known(forecast: Forecast) -> int:
    return sum(forecast.known.values())


def _trials(arm: ArmForecast) -> str:
    if "baseline" in arm.trials:
        return _count(arm.trials["baseline"])
    shown = [_count(arm.trials[phase]) for phase in PHASES if phase in arm.trials]
    # With spaces, at which a narrow terminal breaks them.
    return " + ".join(shown) or "none"


def _count(number: Estimate) -> str:
    low, high = round(number.low), round(number.high)
    return str(low) if low == high else f"{low}-{high}"


def _minutes(seconds: Estimate | None) -> tuple[str, str, str]:
    """Minutes: expected, least, most."""
    if seconds is None:
        return "?", "", ""
    minutes = (amount / 60 for amount in (seconds.expected, seconds.low, seconds.high))
    return tuple(f"{n:.1f}" if n < 10 else f"{n:,.0f}" for n in minutes)  # type: ignore[return-value]


def _thousands(number: Estimate) -> str:
    """A count in thousands, so that a table of many columns fits."""
    return (
        f"{number.expected / 1000:,.0f}k" if number.expected >= 1000 else f"{number.expected:.0f}"
    )


def _range(number: Estimate, shown: Callable[[float], str]) -> str:
    """The expected value and, where there is one, its range."""
    expected, low, high = map(shown, (number.expected, number.low, number.high))
    return expected if low == high else f"{expected} ({low} to {high})"
