"""What is wrong with a reply, in words: what it lacks, what is invalid, what is not right."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from harness.answers.answer import INVALID, Answer
from harness.answers.json_object import JsonAnswer
from harness.answers.json_text import first_object
from harness.answers.json_values import ValueReader
from harness.answers.metrics import ABSENT, EXACT_MATCH, VALID
from harness.answers.schema_validator import schema_validator
from harness.answers.thoughts import without_thought

# Faults of one reply that are told, and characters of a text that is quoted in one.
MOST, QUOTED = 8, 200


def faults_of(
    answer: Answer, target: str, reply: str, labels: Sequence[str] = ()
) -> tuple[str, ...]:
    """Sentences on what is wrong with a reply; none where every class and field is right.

    Free text has none: there is nothing in it that could be right or wrong by itself.

    Args:
        target: what a reader of replies holds it against.
        labels: as of :meth:`~harness.answers.answer.Answer.reader`.
    """
    return tuple(_faults(answer, target, reply, labels))[:MOST]


def _faults(answer: Answer, target: str, reply: str, labels: Sequence[str]) -> Iterator[str]:
    if answer.is_free_text:
        return
    if not reply.strip():
        yield "The reply is empty."
        return
    if without_thought(reply).unfinished:
        yield "The reply ended within its thoughts, before any answer."
        return
    found = answer.found_in(reply)
    if found is None and answer.extract is not None:
        yield f"No answer stands {answer.extract.place}, where it is looked for."
        return
    if isinstance(answer, JsonAnswer):
        yield from _of_object(answer, answer.final(target), found or "")
        return
    reading = answer.reader(labels)(target, reply)
    if reading.metrics.get(VALID.name) == 0:
        yield f"It is no valid answer: {_form(answer, labels)}."
        return
    wrong = {name: pair for name, pair in reading.classes.items() if pair[0] != pair[1]}
    for name, (right, replied) in wrong.items():
        if right == ABSENT:
            yield f"{name!r} is named, and should not be."
        elif replied == ABSENT:
            yield f"{name!r} is missing."
        else:
            was = "nothing that is allowed" if replied == INVALID else repr(replied)
            yield f"It was read as {was}; right is {right!r}."
    if not wrong and reading.metrics.get(EXACT_MATCH.name) == 0:
        yield f"It is not right; right is {_cut(answer.final(target))}."


def _form(answer: Answer, labels: Sequence[str]) -> str:
    valid = tuple(labels) or answer.finite_answers()
    if not valid:
        return f"an answer of kind {answer.name()} in the form of the right one is asked for"
    return f"it must be one of {_cut(', '.join(valid))}, and nothing else"


def _of_object(answer: JsonAnswer, target: str, reply: str) -> Iterator[str]:
    """Field by field, as the primary metric of such answers reads them."""
    replied = first_object(reply)
    if replied is None:
        yield "No JSON object can be read in it."
        return
    read = ValueReader(answer.schema_).read
    right = json.loads(target)
    wanted, given = dict(read(right).parts), dict(read(replied).parts)
    for name, value in wanted.items():
        if name not in given:
            yield f"Field {name} is missing; right is {_shown(right.get(name))}."
        elif value != given[name]:
            now = _shown(replied.get(name))
            yield f"Field {name} is {now}; right is {_shown(right.get(name))}."
    for name in given:
        if name not in wanted:
            yield f"Field {name} is not asked for here."
    for error in schema_validator(answer.schema_).iter_errors(replied):
        path = ".".join(map(str, error.absolute_path)) or "The object"
        yield f"{path} is invalid: {error.message[:QUOTED]}."


def _shown(value: object) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"


__all__ = ["faults_of"]
