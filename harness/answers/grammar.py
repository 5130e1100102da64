"""The grammar of all answers that a JSON Schema allows, for decoding that writes nothing else.

Answers are written as the training answers are: keys in the schema's order, one space after a
colon or comma, none elsewhere. So a finite schema has finitely many texts, and no model can fill
its room with white space.
"""

from __future__ import annotations

import json

from harness.answers.json_text import JsonObject

OPTIONS = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    # A keyword that the grammar cannot express is an error, not a silent gap in the guarantee.
    "lenient": False,
    "coerce_one_of": False,
}


def json_grammar(schema: JsonObject, lead: str = "") -> str:
    """The grammar, as llguidance reads it, of ``lead`` and then a value of ``schema``."""
    from llguidance import LLMatcher

    content = json.dumps({**schema, "x-guidance": OPTIONS}, ensure_ascii=False)
    if not lead:
        return LLMatcher.grammar_from_json_schema(content)
    start = f"start: {json.dumps(lead)} answer"
    return LLMatcher.grammar_from_lark(f"%llguidance {{}}\n{start}\nanswer: %json {content}\n")


def framed_grammar(rule: str, lead: str, others: JsonObject | None, end: str) -> str:
    """The grammar of ``lead``, then a text of the rule ``framed`` or a JSON value, then ``end``.

    Args:
        rule: lines that say what ``framed`` is.
        others: schema of the JSON value; None for the empty list alone.
        end: what must follow, as a grammar writes it; empty for nothing.
    """
    from llguidance import LLMatcher

    other = '"[]"'
    if others is not None:
        other = f"%json {json.dumps({**others, 'x-guidance': OPTIONS}, ensure_ascii=False)}"
    before = json.dumps(lead) if lead else ""
    start = f"start: {before} answer {end}\nanswer: framed | other\nother: {other}"
    return LLMatcher.grammar_from_lark(f"%llguidance {{}}\n{start}\n{rule}\n")


def grammar_problems(schema: JsonObject) -> list[str]:
    """What of the schema no grammar can hold a reply to; empty where nothing is in the way."""
    from llguidance import LLMatcher

    failed, messages = LLMatcher.validate_grammar_with_warnings(json_grammar(schema))
    return messages or (["no grammar of it can be made"] if failed else [])
