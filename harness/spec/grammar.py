"""The grammar of all answers that a JSON Schema allows, for decoding that writes nothing else.

Answers are written as the training answers are: keys in the schema's order, one space after a
colon or comma, none elsewhere. So a finite schema has finitely many texts, and no model can fill
its room with white space.
"""

from __future__ import annotations

import json
from typing import Any

from harness.spec.task import JsonAnswer, TaskSpec, TextAnswer

OPTIONS = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    # A keyword that the grammar cannot express is an error, not a silent gap in the guarantee.
    "lenient": False,
    "coerce_one_of": False,
}


def json_grammar(schema: dict[str, Any], lead: str = "") -> str:
    """The grammar, as llguidance reads it, of ``lead`` and then a value of ``schema``."""
    from llguidance import LLMatcher

    content = json.dumps({**schema, "x-guidance": OPTIONS}, ensure_ascii=False)
    if not lead:
        return LLMatcher.grammar_from_json_schema(content)
    start = f"start: {json.dumps(lead)} answer"
    return LLMatcher.grammar_from_lark(f"%llguidance {{}}\n{start}\nanswer: %json {content}\n")


def check_constrained(arm: str, task: TaskSpec) -> None:
    """Refuse an arm whose replies cannot be kept to valid answers.

    Raises:
        ValueError: the answer is free text, or its schema says what no grammar can hold a reply to.
    """
    where = f"arms.{arm}.answering: constrained"
    if isinstance(task.answer, TextAnswer):
        raise ValueError(
            f"{where} needs labels or a JSON schema, since free text has no form to keep to; use "
            "answering: generate"
        )
    if not isinstance(task.answer, JsonAnswer) or task.finite_answers():
        return
    from llguidance import LLMatcher

    grammar = json_grammar(task.answer.schema_)
    failed, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    if failed or messages:
        raise ValueError(
            f"{where} cannot keep to task.answer.schema ({'; '.join(messages)}); simplify the "
            "schema, or use answering: generate"
        )
