"""Words by which people name columns, in lower case."""

from __future__ import annotations

ANSWERS = frozenset({
    "answer", "answers", "assistant", "calls", "category", "chosen", "class", "classification",
    "completion", "decision", "department", "expected", "gold", "grade", "intent", "label",
    "labels", "output",
    "priority", "queue", "rating", "reference", "reply", "response", "score", "sentiment",
    "severity", "solution", "stars", "summary", "tag", "tags", "target", "topic",
})  # fmt: skip
# Likewise, where they are of several words: other codes are names of things.
WRITTEN = frozenset({"code", "program", "sql", "tgt", "translation"})
# With one of these the answer is told from what else is named like one.
SETTLED = frozenset({"correct", "final", "gold", "right", "true"})
TEXTS = frozenset({
    "abstract", "article", "body", "comment", "content", "context", "description", "document",
    "email", "input", "instruction", "message", "passage", "post", "premise", "prompt", "query",
    "question", "request", "review", "sentence", "text", "ticket", "transcript", "tweet",
    "utterance",
})  # fmt: skip
TITLES = frozenset({
    "claim", "heading", "headline", "hypothesis", "query", "question", "subject", "title",
})  # fmt: skip
# What may be answered, as exams list it.
OPTIONS = frozenset({
    "alternative", "alternatives", "candidates", "choice", "choices", "ending", "endings", "opt",
    "option", "options",
})  # fmt: skip
GROUPS = frozenset({
    "account", "author", "case", "client", "conversation", "customer", "doc", "document",
    "group", "patient", "person", "product", "review", "session", "source", "speaker", "store",
    "thread", "url", "user",
})  # fmt: skip
INSTRUCTIONS = frozenset({"instruction", "instructions"})
# Likewise, if they are sentences and the same in many rows.
TASKS = frozenset({"command", "prompt", "query", "question", "system", "task"})
# What follows an instruction, or is the better of two replies, whatever else a row says.
REPLIES = frozenset({"answer", "chosen", "completion", "output", "reply", "response"})
