"""harness check"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import experiment_argument, near
from harness.cli.problems import problem_lines

if TYPE_CHECKING:
    from rich.table import Table

    from harness.data import Prepared
    from harness.errors import InputError
    from harness.evaluation.suites.find import Suite
    from harness.evaluation.suites.texts import SuiteTexts
    from harness.records import LeakKind
    from harness.spec import Experiment, GeneralSpec
    from harness.study.judges import Judges
    from harness.study.preflight import Preflight, Splits


@click.command()
@experiment_argument()
def command(experiment: Path) -> None:
    """Validate an experiment, read and audit its data, and show what would be run.

    Trains nothing and loads no weights. Exit code 2 when something is wrong.

    \b
    Example:
      harness check experiments/quickstart.yaml
    """
    from rich.markup import escape

    from harness.cli.conversations import print_conversations
    from harness.cli.terminal import Terminal
    from harness.data import prepare, with_general
    from harness.data.label_notes import few_of_a_label, label_notes
    from harness.evaluation.suites.find import load_suite
    from harness.evaluation.suites.texts import suite_texts
    from harness.spec import load_experiment
    from harness.spec.served_arms import missing_keys
    from harness.study.few_groups import too_few_groups
    from harness.study.item_sets import left_out_curves, replay_texts
    from harness.study.judges import judges_of
    from harness.study.preflight import try_metrics

    spec = load_experiment(experiment)
    suite = load_suite(spec.general.suite) if spec.general else None
    console = Terminal()
    # Before its items are read, which runs it.
    if suite and (notice := suite.code_notice()):
        console.print(f"[yellow]warning:[/] {escape(notice)}")
    prompts = _prompts(spec)
    of_metrics: list[str] = []
    judges = _judges(spec)

    def unfit(splits: Splits) -> dict[str, dict[str, str]]:
        of_metrics.extend(try_metrics(spec.task, splits["train"]))
        judges.calibration = judges_of(spec, splits).calibration
        return prompts.unfit(splits)

    prepared = prepare(spec, unfit)
    read = suite_texts(suite, spec.general.asked) if suite and spec.general else None
    if read:
        prepared = with_general(prepared, read.texts, read.unread)
    console.print(f"[bold]{escape(spec.name)}[/] is a valid experiment.")
    console.print(_data_table(prepared))
    print_conversations(console, spec, prepared, prompts)
    for sentence in _leak_sentences(prepared):
        console.print(escape(sentence))
    for sentence in _reading_sentences(prepared):
        console.print(escape(near(sentence)))
    for sentence in _own_metrics(spec):
        console.print(escape(near(sentence)))
    console.print(_arms_table(spec))
    if suite and read and spec.general:
        console.print(_suite_table(suite, read, spec.general))
    elif spec.trained_arms():
        console.print("General suite: none: forgetting not measured")
    texts = replay_texts(spec, prepared.splits)
    if texts:
        console.print(f"General text to replay: {len(texts.examples)} of {escape(texts.source)}")
    console.print(_trial_counts(spec, prepared))
    notes = [
        *too_few_groups(spec, prepared),
        *label_notes(prepared),
        *few_of_a_label(prepared),
        *of_metrics,
        *prompts.notes,
        *judges.notes(spec),
    ]
    missing = [texts.sentence()] if texts and texts.left_out else []
    missing += [str(problem) for problem in missing_keys(spec, os.environ)]
    for sentence in [*notes, *left_out_curves(spec, prepared.splits), *missing]:
        console.print(f"[yellow]warning:[/] {escape(sentence)}")
    file = escape(str(experiment))
    console.print(f"Next:\n  harness plan {file}    # measures the time\n  harness run {file}")


def _prompts(spec: Experiment) -> Preflight:
    """What looks at the prompts of the arms whose models are on this machine."""
    from harness.models.resolve import model_here
    from harness.study.asked_models import models_of
    from harness.study.brought import find_starts, folders_here
    from harness.study.commands import find_commands, notes_on_commands
    from harness.study.preflight import Preflight

    commands = find_commands(spec)
    models = models_of(spec, lambda model: (model.reference, model_here(model)))
    away = dict.fromkeys(name for name, model in models.values() if model is None)
    here = {arm: model for arm, (_, model) in models.items() if model is not None}
    notes = [
        f"{name} is not on this machine yet, so its prompts were not looked at: whether they fit "
        "is seen by harness plan and harness run, which fetch it"
        for name in away
    ]
    find_starts(spec)
    folders, not_here = folders_here(spec)
    notes += [
        f"{name} is not on this machine yet and taken for a name on a hub: whether it belongs to "
        "the experiment's model is seen by harness plan and harness run, which fetch it"
        for name in not_here
    ]
    notes += notes_on_commands(commands)
    return Preflight(spec, here, folders, notes)


def refusal_of(experiment: Path) -> InputError | None:
    """Why the file is refused as its prompts are looked at, if it is.

    None where its model would have to be fetched first, as nothing can be said of them then.
    """
    from harness.data import prepare
    from harness.errors import InputError
    from harness.models.resolve import model_here
    from harness.spec import load_experiment

    try:
        spec = load_experiment(experiment)
        if model_here(spec.model) is not None:
            prepare(spec, _prompts(spec).unfit)
    except InputError as error:
        return error
    return None


def _judges(spec: Experiment) -> Judges:
    """The judges, whose models are looked for and not fetched."""
    from harness.models.resolve import model_here
    from harness.study.judges import Judges

    judges = Judges()
    judges.find(spec, model_here)
    return judges


def _own_metrics(spec: Experiment) -> Iterator[str]:
    """What is known of each metric that the user brings."""
    names = {name for measure in spec.task.measures for name in measure.metric_names}
    for info in spec.task.metric_infos:
        if info.name in names:
            decides = " (it decides)" if info.name == spec.task.primary_metric else ""
            span = f"from {info.lowest:g} to {info.highest:g}"
            span = "" if span in info.meaning else f"{span}; "
            yield f"Metric {info.name}{decides}: {span}{info.meaning}."


def _arms_table(spec: Experiment) -> Table:
    from rich.table import Table

    from harness.spec.arm_base import WaysTried

    table = Table("arm", "kind", "trials", "searched", title="Arms", title_justify="left")
    for name, arm in spec.arms.items():
        searched = ", ".join(arm.search_space()) or "nothing: not tuned"
        if isinstance(arm, WaysTried) and len(arm.ways()) > 1:
            searched += "; answering: each trial tries every way"
        repeats = spec.repeats_of(name)
        times = f"{repeats} x " if repeats > 1 else ""
        table.add_row(name, arm.kind, f"{times}{spec.trials_of(name)}", searched)
    return table


def _trial_counts(spec: Experiment, prepared: Prepared) -> str:
    from harness.study.stages import final_counts

    searched = spec.search_trials()
    later = final_counts(spec, prepared.splits)
    parts = [
        f"{searched} search trials",
        f"{later.finalists} finalists on {_seeds(spec)}",
        "1 untouched base",
    ]
    if later.defaults:
        parts.append(f"up to {later.defaults} tests of default settings")
    if later.curves:
        parts.append(f"{later.curves} trials of learning curves")
    parts.append(f"{later.latencies} trials that time requests")
    return f"{', '.join(parts)}."


def _data_table(prepared: Prepared) -> Table:
    from rich.table import Table

    headings = ("split", "examples", "groups", "shared with training")
    table = Table(*headings, title="Data", title_justify="left")
    for name, count in prepared.counts.items():
        leaks = _leaks(prepared.audit.flagged.get(name, {}))
        table.add_row(
            name, str(count), str(prepared.groups[name]), "" if name == "train" else leaks
        )
    return table


def _reading_sentences(prepared: Prepared) -> Iterator[str]:
    yield from _left_out(prepared)
    yield from (f"note: {note}" for note in prepared.notes)
    if prepared.contradictions.texts:
        yield f"warning: {prepared.contradictions.sentence()}"


def _left_out(prepared: Prepared) -> Iterator[str]:
    if prepared.dropped:
        rows = len({problem.where for problem in prepared.dropped})
        yield f"{rows} row(s) cannot be used and are left out (data.bad_rows: drop):"
    yield from problem_lines(prepared.dropped, "dropped")


def _suite_table(suite: Suite, read: SuiteTexts, general: GeneralSpec) -> Table:
    from rich.markup import escape
    from rich.table import Table

    title = f"General suite: {len(suite.tasks)} tasks of {escape(suite.name)}"
    table = Table("task", "metric", "items", "shots", "from", title=title, title_justify="left")
    for entry in suite.tasks:
        asked = read.tasks[entry.task]
        row = (entry.task, entry.metric, str(asked.items), str(asked.shots), asked.source)
        table.add_row(*map(escape, row))
    if general.limit and general.search_items:
        table.caption = (
            f"items: those that judge, at most {general.limit} (limit), and at most "
            f"{general.search_items} besides for the search (search_limit)"
        )
        table.caption_justify = "left"
    return table


def _seeds(spec: Experiment) -> str:
    counts = sorted({len(spec.seeds_of(name)) for name in spec.arms})
    return f"{' to '.join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))} seed(s)"


def _leak_sentences(prepared: Prepared) -> Iterator[str]:
    from harness.data import audit_record

    if prepared.audit.dropped:
        yield (
            f"{len(prepared.audit.dropped)} training examples are dropped because they also stand "
            "in a held-out set (data.leaks)."
        )
    remaining = prepared.remaining
    yield (
        f"Test items that still share text with training: {len(remaining.flagged_ids('test'))}; "
        f"with validation: {sum(remaining.selection_flagged.values())}."
    )
    shared_groups = audit_record(prepared).shared_groups
    if any(shared_groups.values()):
        shared = ", ".join(f"{n} of {name}" for name, n in shared_groups.items() if n)
        yield f"Groups (data.group) that training has too: {shared}."
    if prepared.general:
        flagged = {task: sum(n.values()) for task, n in prepared.general.flagged.items()}
        shared = ", ".join(f"{n} of {task}" for task, n in flagged.items() if n)
        yield f"General items that share text with training: {shared or 'none'}."
    if prepared.general_not_audited:
        names = ", ".join(prepared.general_not_audited)
        yield f"Not audited, since their items could not be read: {names}."


def _leaks(counts: Mapping[LeakKind, int]) -> str:
    from harness.wording import LEAKS

    return ", ".join(f"{LEAKS[kind]}: {n}" for kind, n in counts.items() if n) or "none"
