"""From the experiment's data section to audited splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.answers import Answer
from harness.data.audit import LeakageAudit, audit_general, audit_leakage
from harness.data.bad_rows import (
    Divided,
    Unfit,
    what_to_do,
    without_unfit,
    without_unseen_labels,
)
from harness.data.brought import BroughtAudit, audit_brought, unread_notes
from harness.data.contradictions import (
    NO_CONTRADICTIONS,
    Contradictions,
    find_contradictions,
)
from harness.data.conversation_counts import check_shots
from harness.data.examples import (
    ExamplesRead,
    read_examples,
)
from harness.data.examples_file import fingerprint
from harness.data.split import (
    joined_spellings,
    limited,
    merge_duplicates,
    one_spelling,
    shuffled,
    split_groups,
)
from harness.errors import DataError, Problem
from harness.records import Example, Splits, whole_conversations
from harness.spec import Experiment, SplitFiles

_JUDGED = ("validation", "test")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data ready for a study."""

    splits: Splits
    """The splits after limits, audit and the policy for bad rows."""
    audit: LeakageAudit
    """Leakage between the splits as it was found, with what was dropped for it."""
    dropped: tuple[Problem, ...]
    """Bad rows that were left out, located; empty where the policy is to stop."""
    counts: dict[str, int]
    """Split -> number of its examples."""
    available: dict[str, int]
    """Split -> number of examples that there were before the limits."""
    groups: dict[str, int]
    """Split -> number of its groups; out-of-domain sets stand under their own names."""
    answers: dict[str, dict[str, dict[str, int]]]
    """Split -> answer field (``label`` for a label task) -> value -> number of examples; fields of
    free text are left out."""
    labels: tuple[str, ...] | None
    """Valid labels of a label task; None for other tasks."""
    spellings: dict[str, tuple[str, ...]]
    """Label -> how else the data write it; such rows have the label."""
    fingerprint: str
    """SHA-256 over all examples of all splits, order included."""
    remaining: LeakageAudit
    """Leakage between the splits that is still in force."""
    general: LeakageAudit | None = None
    """Leakage between training and the general suite; None where none was audited."""
    general_not_audited: tuple[str, ...] = ()
    """Tasks of the suite whose items could not be read."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it stands in a source, a sentence each."""
    contradictions: Contradictions = NO_CONTRADICTIONS
    """Equal texts with different answers."""
    brought: Mapping[str, BroughtAudit] = field(default_factory=dict)
    """Arm that was trained elsewhere -> what shares text with what it was trained on, of arms that
    say what that was."""


def prepare(experiment: Experiment, unfit: Unfit = lambda splits: {}) -> Prepared:
    """Read, check, divide, limit and audit the data of an experiment.

    The same experiment and files give the same result; the order of rows is no matter where they
    have an id column.

    Args:
        unfit: asked once, when the splits are made, which of their examples the models cannot be
            asked; those are bad rows.

    Raises:
        DataError: a source cannot be read, rows are bad and the policy is to stop, a split would
            be empty, or text leaks and the policy is to stop. Carries every problem found.
        UnknownReferenceError: no packaged data set has this name.
        HarnessError: a packaged data set could not be fetched.
    """
    read = _in_one_notation(experiment, _read_all(experiment))
    dropped = [problem for source in read.values() for problem in source.problems]
    source_of = {split: source.source for split, source in read.items()}
    try:
        whole = _divided(experiment, {name: source.examples for name, source in read.items()})
    except DataError as error:
        # Too few rows may be left because of what is wrong with the others.
        raise DataError([*error.problems, *dropped]) from error
    splits = _limited(experiment, whole)
    check_shots(experiment, splits)
    contradictions = find_contradictions(experiment.task, splits, source_of)
    audit = _audited(splits)
    splits, audit = _leaks_handled(experiment, splits, audit, source_of)
    splits, misfits = without_unfit(experiment, splits, source_of, unfit)
    answer = experiment.task.answer
    labels = answer.labels_of(splits["train"])
    splits, unseen = without_unseen_labels(experiment, splits, labels, source_of)
    dropped.extend([*misfits, *unseen])
    judging = {name: chosen for name, chosen in splits.items() if name != "train"}
    brought = audit_brought(experiment, judging)
    return Prepared(
        splits=Splits(
            splits["train"],
            splits["validation"],
            splits["test"],
            {name: splits[name] for name in experiment.data.out_of_domain},
        ),
        audit=audit,
        dropped=tuple(dropped),
        counts={name: len(chosen) for name, chosen in splits.items()},
        available={name: len(chosen) for name, chosen in whole.items()},
        groups={name: len({e.group for e in chosen}) for name, chosen in splits.items()},
        answers={name: answer_counts(answer, e) for name, e in splits.items()},
        labels=labels,
        spellings=_spellings(read.values()),
        fingerprint=fingerprint(splits),
        # An example that lost its strongest partner may have a weaker one left.
        remaining=_audited(splits) if audit.dropped or unseen or misfits else audit,
        notes=(
            *dict.fromkeys(
                f"{Path(source.source).name}: {note}"
                for source in read.values()
                for note in source.notes
            ),
            *answer.notes(e.answer for source in read.values() for e in source.examples),
            *unread_notes(brought),
            *_group_notes(experiment, read.values()),
        ),
        contradictions=contradictions,
        brought=brought,
    )


def with_general(
    prepared: Prepared,
    texts: Mapping[str, Sequence[tuple[str, str]]],
    unread: Iterable[str],
) -> Prepared:
    """The data with its audit against a general suite: see :func:`audit_general`.

    Args:
        unread: tasks whose items could not be read.
    """
    general = audit_general(prepared.splits.train, texts)
    return replace(prepared, general=general, general_not_audited=tuple(unread))


def answer_counts(answer: Answer, examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    """Answer field with few possible values -> value -> number of examples, most frequent first."""
    counts = answer.count_classes(example.answer for example in examples)
    return {name: dict(counter.most_common()) for name, counter in counts.items()}


def _sources(experiment: Experiment) -> dict[str, str]:
    """Name of a split, or of an out-of-domain set -> its source; ``train`` may hold all three."""
    data = experiment.data
    sources = {"train": data.source}
    if isinstance(data.splits, SplitFiles):
        if data.splits.validation is not None:
            sources["validation"] = data.splits.validation
        sources["test"] = data.splits.test
    taken = {"train", *_JUDGED} & set(data.out_of_domain)
    if taken:
        raise DataError(
            f"data.out_of_domain: {', '.join(sorted(taken))} is the name of a split; give the "
            "out-of-domain set another name"
        )
    return sources | data.out_of_domain


def _read_all(experiment: Experiment) -> dict[str, ExamplesRead]:
    """Every source, read whole before anything is said, so that all problems come at once."""
    in_files = isinstance(experiment.data.splits, SplitFiles)
    read: dict[str, ExamplesRead] = {}
    problems: list[Problem] = []
    for name, source in _sources(experiment).items():
        prefix = f"{name}:" if in_files else ""
        try:
            read[name] = read_examples(
                source,
                experiment,
                id_prefix=prefix,
                sliced=name == ("test" if in_files else "train"),
            )
        except DataError as error:
            problems.extend(error.problems)
    unreadable = bool(problems)
    problems.extend(_repeated_ids(read))
    if experiment.data.bad_rows == "stop":
        bad = [problem for source in read.values() for problem in source.problems]
        problems.extend([*what_to_do(bad), *bad])
    if unreadable or problems:
        raise DataError(problems)
    return read


def _in_one_notation(
    experiment: Experiment, read: Mapping[str, ExamplesRead]
) -> dict[str, ExamplesRead]:
    """The sources, with answers that are the same written in one way (1 and 1.0)."""
    answers = (e.answer for source in read.values() for e in source.examples)
    written = experiment.task.answer.respelt(answers)
    return {name: _rewritten(source, written) for name, source in read.items()}


def _rewritten(source: ExamplesRead, written: Mapping[str, str]) -> ExamplesRead:
    examples = tuple(
        replace(e, answer=written[e.answer]) if e.answer in written else e for e in source.examples
    )
    spellings = defaultdict(set, source.spellings)
    for label in {e.answer for e in source.examples} & set(written):
        spellings[written[label]] |= {label} | spellings.pop(label, set())
    return replace(source, examples=examples, spellings=dict(spellings))


def _spellings(read: Iterable[ExamplesRead]) -> dict[str, tuple[str, ...]]:
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for source in read:
        for label, others in source.spellings.items():
            spellings[label] |= others
    return {label: tuple(sorted(others)) for label, others in sorted(spellings.items())}


def _repeated_ids(read: Mapping[str, ExamplesRead]) -> list[Problem]:
    """Ids that stand in two of the split files; out-of-domain sets have ids of their own."""
    first: dict[str, str] = {}
    problems = []
    for name in ("train", *_JUDGED):
        for example in read[name].examples if name in read else ():
            where = f"{read[name].source}:{example.line}"
            known = first.setdefault(example.id, where)
            if known != where:
                what = (
                    f"id {example.id!r} stands already in {known}; ids must be unique over all "
                    "split files: change one, or leave data.id out to use line numbers"
                )
                problems.append(Problem(where, what))
    return problems


def _group_notes(experiment: Experiment, read: Iterable[ExamplesRead]) -> Iterator[str]:
    column = experiment.data.group
    joined = joined_spellings([source.examples for source in read]) if column else ""
    if joined:
        yield f"data.group: `{column}`: {joined}"


def _divided(experiment: Experiment, read: Mapping[str, Sequence[Example]]) -> Divided:
    data, seed = experiment.data, experiment.data.seed
    if data.group is not None:
        read = one_spelling(read)
    merged = {name: merge_duplicates(examples) for name, examples in read.items()}
    if not isinstance(data.splits, SplitFiles):
        shares = data.splits.model_dump()
        splits = split_groups(merged["train"], shares, seed)
    elif data.splits.validation is None:
        share = data.splits.validation_share
        splits = split_groups(merged["train"], {"train": 1 - share, "validation": share}, seed)
    else:
        splits = {name: shuffled(merged[name], seed) for name in ("train", "validation")}
    if isinstance(data.splits, SplitFiles):
        splits["test"] = shuffled(merged["test"], seed)
    for name in data.out_of_domain:
        splits[name] = shuffled(merged[name], seed)
    return {
        name: examples if name == "train" else scored_of(experiment, examples)
        for name, examples in splits.items()
    }


def scored_of(experiment: Experiment, examples: Sequence[Example]) -> tuple[Example, ...]:
    """Those that are scored: of conversations that are trained on whole maybe the last answers."""
    talks = experiment.data.conversations
    return (
        whole_conversations(examples) if talks and talks.scores_last_of_every else tuple(examples)
    )


def _limited(experiment: Experiment, splits: Divided) -> Divided:
    data = experiment.data
    return {
        name: limited(
            examples,
            data.limits.out_of_domain if name in data.out_of_domain else getattr(data.limits, name),
            data.seed,
        )
        for name, examples in splits.items()
    }


def _audited(splits: Divided) -> LeakageAudit:
    return audit_leakage(
        splits["train"], {name: chosen for name, chosen in splits.items() if name != "train"}
    )


def _leaks_handled(
    experiment: Experiment, splits: Divided, audit: LeakageAudit, source_of: Mapping[str, str]
) -> tuple[Divided, LeakageAudit]:
    """Apply the policy for exact and near duplicates; shared n-grams are only ever reported."""
    leaking = audit.training_ids()
    if not leaking or experiment.data.leaks == "report":
        return splits, audit
    if experiment.data.leaks == "stop":
        raise DataError(_leak_problems(splits, audit, source_of))
    train = tuple(example for example in splits["train"] if example.id not in leaking)
    if not train:
        raise DataError(
            f"all {len(leaking)} training examples also stand in validation, test or "
            "out-of-domain data, so none is left to train on; give other training data, or set "
            "data.leaks: report"
        )
    dropped = tuple(example.id for example in splits["train"] if example.id in leaking)
    return splits | {"train": train}, replace(audit, dropped=dropped)


def _leak_problems(
    splits: Divided, audit: LeakageAudit, source_of: Mapping[str, str]
) -> list[Problem]:
    lines = {
        (name, example.id): f"{source_of.get(name, source_of['train'])}:{example.line}"
        for name, examples in splits.items()
        for example in examples
    }
    how = {"exact": "the same text as", "near": "nearly the same text as"}
    return [
        Problem(
            lines["train", pair.seen_id],
            f"a training example with {how[pair.kind]} {pair.split} example {pair.other_id!r} "
            f"({lines[pair.split, pair.other_id]}); remove one, or set data.leaks: drop",
        )
        for pair in audit.pairs
        if pair.kind in how
    ]
