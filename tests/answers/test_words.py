"""Words are whole in any script, marks and all."""

from __future__ import annotations

import unicodedata

import pytest

from harness.answers.words import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't STOP, now!", ["don", "t", "stop", "now"]),
        ("Посылка пришла.", ["посылка", "пришла"]),
        ("पार्सल आ गया।", ["पार्सल", "आ", "गया"]),
        ("حَسَنًا، شُكْرًا", ["حَسَنًا", "شُكْرًا"]),
        ("소포가 왔다", ["소포가", "왔다"]),
        ("荷物が来た。", ["荷", "物", "が", "来", "た"]),
        ("ที่นี่มา", ["ที่", "นี่", "ม", "า"]),
        ("ＡＢＣ ﬁn", ["abc", "fin"]),
        ("✅ ... =", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == [unicodedata.normalize("NFKC", word) for word in found]
    assert words(unicodedata.normalize("NFD", text)) == words(text)
