"""A reply is read as the label it means, and never as another."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.answers.characters import trimmed
from harness.answers.label_reader import LabelReader, as_listed, one_notation

SIGNS = " -_.,;:!?*#%+'\"`()[]{}/\\|<>=~@$^&"
TEXTS = st.text(
    st.sampled_from(
        SIGNS + "abABiIıİßσςΣ059²é\u0301\u00a0\u200b\u200c\u200d\u00adñ中ａ。「」“”👍🏽❤\ufe0f\n"
    ),
    max_size=6,
)
LISTS = st.lists(TEXTS.map(trimmed).filter(bool), min_size=1, max_size=6, unique=True)


@given(LISTS)
def test_a_label_is_read_as_itself(labels: list[str]) -> None:
    reader = LabelReader(labels)
    for label in labels:
        assert reader.read(label) == label
        assert reader.read(f" \ufeff{label}\u200b\n") == label
        assert reader.read(unicodedata.normalize("NFD", label)) == label


@given(LISTS, TEXTS)
def test_a_reply_is_one_label_or_none(labels: list[str], reply: str) -> None:
    found = LabelReader(labels).read(reply)
    assert found is None or found in labels
    if not trimmed(reply):
        assert found is None


@given(LISTS, TEXTS)
def test_the_order_of_the_list_does_not_matter(labels: list[str], reply: str) -> None:
    assert LabelReader(labels).read(reply) == LabelReader(labels[::-1]).read(reply)


@given(LISTS, st.sampled_from(["“{}”", "„{}“", "«{}»", "「{}」", "『{}』", "\u202a{}\u202c"]))
def test_a_label_in_quotes_is_the_label_or_none(labels: list[str], quotes: str) -> None:
    reader = LabelReader(labels)
    for label in labels:
        written = quotes.format(label)
        if written not in labels and not set("“”「」\n") & set(label):
            assert reader.read(written) in (label, None)


@pytest.mark.parametrize(
    "form",
    ["“{}”", "”{}”", "„{}“", "‚{}‘", "«{}»", "« {} »", "»{}«", "‹{}›", "「{}」", "『{}』",
     "《{}》", "【{}】",
     "{}。", "{}．", "{}！", "{}؟", "{}।", "{}…", "¿{}?", "{}։", "- {}", "– {}", "• {}", "* {}",
     "— {}",
     "**{}**", "__{}__", "*{}*", "***{}***", "`{}`", "**“{}.”**", "({})", "[{}]", "“{}”.",
     "- **{}**.",
     "```\n{}\n```", "```text\n{}\n```", "~~~\n{}\n~~~", "```{}```", "``` \n{}",
     "\ufeff```\n{}\n```",
     "\u200b{}", "{}\u200b", "\ufeff{}", "\u2060{}", "{}\u00ad", "\u200f{}\u200e",
     "\u202b{}\u202c",
     "\u00a0{}\u3000", "\u2009{}", "\n\n{}\nbecause", "“\u200b{}\u200b”"],
)  # fmt: skip
@pytest.mark.parametrize("label", ["calm", "très calme", "спокойно", "平静", "शांत", "هادئ", "7"])
def test_manners_of_a_right_answer(form: str, label: str) -> None:
    reader = LabelReader(["calm", "très calme", "спокойно", "平静", "शांत", "هادئ", "7", "x"])
    for written in (label, label.upper(), unicodedata.normalize("NFD", label)):
        assert reader.read(form.format(written)) == label


@pytest.mark.parametrize(
    "labels",
    [("C", "C++", "C#", ".C"), ("A", "A-", "A+", "B"), ("-2", "2", "0"), (".7", "7"),
     ("v2.0", "v20"),
     ("é", "e"), ("²", "2"), ("$", "%", "<", ">"), ("👍", "👍🏽", "👎"), ("ılık", "ilik"),
     ("क", "कि"),
     ("🏴", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"), ("5", "5%"),
     ("+", "="),
     ("1.1", "1.10"), ("م", "مً")],
)  # fmt: skip
def test_labels_that_are_not_alike(labels: tuple[str, ...]) -> None:
    reader = LabelReader(labels)
    # A sign that precedes a letter is leniently left out, but not where a label is without it.
    assert [set(group) for group in reader.alike()] in ([], [{"C", ".C"}])
    assert [reader.read(label) for label in labels] == list(labels)
    assert [reader.read(f"“{label}”") for label in labels] == list(labels)


@pytest.mark.parametrize(
    ("labels", "reply"),
    [(("DE", "de"), "De"), (("a_b", "a-b"), "a b"), (("ss", "ß"), "SS"), (("K", "K*"), "K**"),
     (("❤", "❤\ufe0f"), "❤\ufe0e"), (("Σας", "σασ"), "ΣΑΣ"), (("ko", "ｋｏ"), "KO"),
     (("*", "**"), "***"), ((":)", ":("), ":"), (("", "x"), "?")],
)  # fmt: skip
def test_what_tells_two_labels_apart_counts(labels: tuple[str, ...], reply: str) -> None:
    reader = LabelReader(labels)
    assert reader.read(reply) is None
    assert all(reader.read(label) == label for label in labels)
    assert "" in labels or [set(group) for group in reader.alike()] == [set(labels)]


@pytest.mark.parametrize(
    ("labels", "reply"),
    [(("A", "A-"), "A -"), (("so!", "so?"), "so!?"),
     (("-2", "2"), "- 2"), (("+", "-"), "+ -"), (("?", "no"), "?!"),
     (("calm", "angry"), "calm or angry"), (("3", "4"), "-3"), (("3", "4"), ".3"),
     (("3", "4"), "3%"),
     (("A", "B"), "A-"), (("C", "Java"), "C#"), (("m2", "m"), "m²"),
     (("good", "bad"), "<b>good</b>")],
)  # fmt: skip
def test_what_might_be_another_answer_is_none(labels: tuple[str, ...], reply: str) -> None:
    assert LabelReader(labels).read(reply) is None


@pytest.mark.parametrize(
    ("reply", "label"),
    [("3.0", "3"), ("\u22123", "-3"), ("-3.00", "-3"), ("**3**", "3"), ("2.50", None)],
)
def test_numbers_are_whole_numbers_in_any_notation(reply: str, label: str | None) -> None:
    assert LabelReader(["-3", "3", "2.5"]).read(reply) == label


@pytest.mark.parametrize(
    "form",
    ["“{}”", "「{}」", "`{}`", "[{}]", "{}。", "{}.", "- {}", "\ufeff{}\u200b", "```\n{}\n```"],
)
def test_manners_of_a_right_sign(form: str) -> None:
    for labels in ([";)", ";("], ["#", "##"], ["=", "≠"], ["!", "?"], ["->", "<-"]):
        reader = LabelReader(labels)
        assert [reader.read(form.format(label)) for label in labels] == labels


def test_a_label_of_two_lines_is_read_whole() -> None:
    reader = LabelReader(["up\ndown", "up"])
    assert reader.read("Up\r\n down") == "up\ndown"
    assert reader.read("up\nleft") == "up"


def test_long_replies_are_read_fast() -> None:
    reader = LabelReader(["good", "bad"])
    for reply in ("!" * 200_000 + "x", '"' * 200_000 + "x", "- " * 100_000, "```" + "\n" * 100_000):
        assert reader.read(reply) is None


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        (("4", "4.0", "4.00", "5"), {"4.0": "4", "4.00": "4"}),
        (("4.0", "5.0"), {"4.0": "4", "5.0": "5"}),
        (("0.5", "2", "2.0"), {"2.0": "2"}),
        (("0.5", "2.0"), {}),
        (("2.0", "2.1", "2.10", "2"), {}),
        (("04", "4"), {}),
        (("4", "4.0", "four"), {}),
        (("-0.0", "0"), {"-0.0": "0"}),
    ],
)
def test_one_number_in_one_notation(labels: tuple[str, ...], written: dict[str, str]) -> None:
    assert one_notation(labels) == written


def test_a_label_of_the_data_is_the_listed_one() -> None:
    assert as_listed("4.0", ["4", "5"]) == "4"
    assert as_listed("4", ["4.0", "5.0"]) == "4.0"
    assert as_listed("4.0", ["4", "5", "good"]) is None
    assert as_listed("4.1", ["4", "4.10"]) is None
    assert as_listed("4", ["4.0", "4.00"]) is None


@pytest.mark.parametrize(
    ("labels", "reply", "meant"),
    [
        (["can't say", "certain"], "Can’t say.", "can't say"),
        (["l’eau", "le feu"], "l'eau", "l’eau"),
        (["-2", "0", "2"], "–2", "-2"),
        (["-2", "0", "2"], "– 2", None),
        (["B-", "B"], "B–", "B-"),
        (["B*", "B"], "**B***", "B*"),
        (["B*", "B"], "**B**", "B"),
        (["B*", "B"], "*B*", None),
        (["x'", "x"], "\"x'", None),
        (["x'", "x"], "'x''", "x'"),
        (["<3", "3", ">3"], "<3>", None),
        (["<3", "3", ">3"], "> 3", None),
        (["x y", "xy"], "x y\nfor a reason", "x y"),
        (["open", "shut"], "<open>", "open"),
        (["open", "shut"], "> open", "open"),
        (["🍏", "🍋"], "## 🍏", "🍏"),
        (["🍏", "🍋"], "»🍋«", "🍋"),
        (["Ja", "Nein"], "❝Nein❞", "Nein"),
    ],
)
def test_signs_around_a_label_or_of_it(labels: list[str], reply: str, meant: str | None) -> None:
    assert LabelReader(labels).read(reply) == meant


def test_a_number_in_two_notations_is_named_whatever_stands_beside_it() -> None:
    assert LabelReader(["3", "3.0", "4", "unknown"]).alike() == [("3", "3.0")]
