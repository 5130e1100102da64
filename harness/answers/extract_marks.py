"""The marks by which people set an answer off from the words before it, as ``init`` knows them."""

from __future__ import annotations

from harness.answers.answer_column import AnswerColumn
from harness.answers.extract import Extract
from harness.records.guess import Guess

# So many of the texts must bear the mark; the others are reported as bad rows.
_MOST = 0.9
_LONGEST_LINE = 80
# Markdown writes headings with it, too.
_HASHES = Extract(after="####")
# Mark -> how an instruction asks for it.
_MARKS = {
    _HASHES: "End with #### and the answer alone.",
    **{
        Extract(tag=tag): f"Put the answer alone between <{tag}> and </{tag}>."
        for tag in ("answer", "final_answer", "final")
    },
    Extract(pattern=r"\\boxed\{((?:[^{}]|\{[^{}]*\})+)\}"): "Put the answer alone into \\boxed{}.",
}
# A closing line in words: in the texts of a file the answer is short, and nothing follows it. A
# reply may go on, so that each line is looked at.
_PHRASES = {
    Extract(pattern=r"(?im)\bfinal answer(?: is)?[\s:*]*(.+?)[.\s*]*$"): "End with `Final answer:` "
    "and the answer alone.",
    Extract(pattern=r"(?im)\banswer is:?\s*(.+?)[.\s*]*$"): "End with `The answer is` and the "
    "answer alone.",
    Extract(pattern=r"(?im)\banswer:\**\s*(.+?)[.\s*]*$"): "End with `Answer:` and the answer "
    "alone.",
}


def recognise_extract(column: AnswerColumn) -> Guess[Extract] | None:
    """Where the answer stands in the texts of a column; None where nothing marks it.

    A closed list of texts needs no mark: each text is a label.
    """
    texts = column.texts
    if column.is_closed or len(texts) < _MOST * len(column.values):
        return None
    for extract in (*_MARKS, *_PHRASES):
        bears = _closes if extract in _PHRASES or extract == _HASHES else _holds
        found = [text for text in texts if bears(extract, text)]
        if len(found) < _MOST * len(texts):
            continue
        return Guess(extract, f"in {len(found)} of {len(texts)} texts it stands {extract.place}")
    return None


def _holds(extract: Extract, text: str) -> bool:
    return extract.span(text) is not None


def _closes(extract: Extract, text: str) -> bool:
    """Whether a text holds the answer as a short line and the last thing in it."""
    if (span := extract.span(text)) is None:
        return False
    part, rest = text[span[0] : span[1]], text[span[1] :]
    return len(part) <= _LONGEST_LINE and "\n" not in part and not rest.strip(" \n.*")


def asking_for(extract: Extract) -> str:
    """How an instruction asks for an answer in this place."""
    known = {**_MARKS, **_PHRASES}.get(extract)
    return known or f"The answer alone stands {extract.place}."


def is_mark(extract: Extract) -> bool:
    """Whether the place is marked by a sign that says so, not by words as prose has them."""
    return extract in _MARKS and extract != _HASHES
