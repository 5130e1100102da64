"""What a file is taken for when nobody says so."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.data.infer import gives_away, guess_answer
from harness.data.infer_groups import guess_group, guess_id
from harness.data.infer_texts import guess_texts
from harness.errors import DataError

from .tiny import table, words


def text(number: int) -> str:
    return words(number * 9, 9)


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        (lambda n: {"id": n, "text": text(n), "topic": "ab"[n % 2]}, "topic"),
        (lambda n: {"channel": "ab"[n % 2], "text": text(n), "category": f"c{n % 6}"}, "category"),
        (lambda n: {"text": text(n), "kind": "ab"[n % 2], "out": {"n": n}}, "out"),
        (lambda n: {"text": text(n), "kind": "ab"[n % 2], "out": f'{{"n": {n}}}'}, "out"),
        (
            lambda n: {"day": f"2024-01-{n % 3 + 1:02}", "body": text(n), "team": f"t{n % 4}"},
            "team",
        ),
        (lambda n: {"review": text(n), "price": n * 1.37}, "price"),
        (lambda n: {"question": text(n), "reply": words(n * 5, 5)}, "reply"),
        # Amounts as people write them are no names of rows.
        (lambda n: {"about": text(n), "price": f"1.{n + 100},50"}, "price"),
        (lambda n: {"about": text(n), "price": f"{n + 1},5"}, "price"),
        (lambda n: {"about": text(n), "growth": f"{n} %"}, "growth"),
        (lambda n: {"about": text(n), "heading": words(n, 2), "cost": f"${n + 10}"}, "cost"),
        (lambda n: {"about": text(n), "sold": (n * 7919) % 1000}, "sold"),
        (lambda n: {"about": text(n), "held": f"2024-03-{n + 1:02}"}, "held"),
        (lambda n: {"question": text(n), "query": f"SELECT a{n} FROM t"}, "query"),  # noqa: S608
        (lambda n: {"nl": words(n, 4), "code": f"for k in range({n}):\n    print(k)"}, "code"),
        (lambda n: {"code": f"A{n % 3}", "body": text(n), "topic": "ab"[n % 2]}, "topic"),
        (
            lambda n: {"q": text(n), "LABELS": ["a", "bc"[n % 2]], "final_decision": "yn"[n % 2]},
            "final_decision",
        ),
        # What may be answered is not what is answered.
        (
            lambda n: {"q": text(n), "choices": {"text": [text(n), "b"]}, "key": "ab"[n % 2]},
            "key",
        ),
    ],
)
def test_the_answer(row: Any, answer: str) -> None:
    assert guess_answer(table(map(row, range(24)))).value == answer


def test_the_text_is_the_longest_that_is_named_like_one() -> None:
    rows = ({"log": "x y z " * 40, "message": text(n), "topic": "ab"[n % 2]} for n in range(12))
    assert guess_texts(table(rows), ["topic"]).value == ("message",)
    rows = ({"note": text(n) * 2, "remark": text(n), "topic": "ab"[n % 2]} for n in range(12))
    assert guess_texts(table(rows), ["topic"]).value == ("note",)


def test_the_text_is_none_of_numbers_or_names_of_rows() -> None:
    rows = ({"": n * 10**30, "body": text(n), "topic": "ab"[n % 2]} for n in range(12))
    assert guess_texts(table(rows), ["topic"]).value == ("body",)
    rows = ({"when": f"2024-01-{n + 1:02} 10:00", "say": f"w{n % 7}", "out": n} for n in range(12))
    assert guess_texts(table(rows), ["out"]).value == ("say",)


def test_texts_that_are_judged_together_are_shown_together() -> None:
    rows = ({"premise": text(n), "hypothesis": words(n, 4), "label": n % 3} for n in range(12))
    assert guess_texts(table(rows), ["label"]).value == ("premise", "hypothesis")
    rows = ({"question1": text(n), "question2": words(n, 4), "same": n % 2} for n in range(12))
    assert guess_texts(table(rows), ["same"]).value == ("question1", "question2")
    for pair in (("sentence1", "sentence2"), ("text_a", "text_b"), ("comment A", "comment B")):
        rows = ({pair[0]: text(n), pair[1]: words(n, 4), "same": n % 2} for n in range(12))
        guess = guess_texts(table(rows), ["same"])
        assert guess.value == pair
        assert f"`{pair[1]}` has its name and another mark" in guess.why
    rows = ({"body": text(n), "bode": words(n, 4), "team": f"t{n % 3}"} for n in range(12))
    assert guess_texts(table(rows), ["team"]).value == ("body",)


@pytest.mark.parametrize("names", ["ABCD", ["option1", "option2"], ["choice_a", "choice_b"]])
def test_what_may_be_answered_is_shown(names: Any) -> None:
    rows = (
        {"question": text(n)} | {name: f"w{n * 3 + i}" for i, name in enumerate(names)}
        | {"answer": names[n % 2]} for n in range(12)
    )  # fmt: skip
    columns = table(rows)
    assert guess_answer(columns).value == "answer"
    guessed = guess_texts(columns, ["answer"])
    assert guessed.value == ("question", *names)
    assert "are what may be answered" in guessed.why


def test_a_file_of_two_letters_has_no_options() -> None:
    rows = ({"A": text(n), "B": words(n * 5, 5), "label": n % 2} for n in range(12))
    assert guess_texts(table(rows), ["label"]).value == ("A",)


def test_a_heading_is_shown_before_its_text() -> None:
    rows = ({"body": text(n), "topic": "ab"[n % 2], "subject": words(n, 4)} for n in range(12))
    assert guess_texts(table(rows), ["topic"]).value == ("body", "subject")


def test_too_few_columns() -> None:
    with pytest.raises(DataError, match=r"need two columns.*with texts: `a`"):
        guess_answer(table([{"a": "x"}]))
    with pytest.raises(DataError, match=r"with lists or objects: `a`, which are neither texts"):
        guess_texts(table([{"a": {"b": "x"}, "c": "y"}]), ["c"])
    with pytest.raises(DataError, match=r"no column is left.*without any value: `b`"):
        guess_texts(table([{"a": "x", "b": ""}]), ["a"])


def test_rows_within_rows_are_refused_with_what_to_write() -> None:
    rows = [
        {"title": f"T{n}", "paragraphs": [{"context": text(n), "qas": [{"question": words(n, 5)}]}]}
        for n in range(12)
    ]
    with pytest.raises(DataError, match=r"`paragraphs\[\]\.qas\[\]`.*nested-data"):
        guess_answer(table(rows))
    # Beside a text they are an answer: what a document says of its parts.
    beside = ({**row, "text": text(n)} for n, row in enumerate(rows))
    assert guess_answer(table(beside)).value == "paragraphs"


def test_columns_that_might_be_the_answer_as_well_are_named() -> None:
    rows = [{"body": text(n), "kanal": "ab"[n % 2], "prio": "xyz"[n % 3]} for n in range(24)]
    guess = guess_answer(table(rows))
    assert (guess.value, "`prio`" in guess.why) == ("kanal", True)
    rows = [{"body": text(n), "label": "ab"[n % 2], "prio": "xyz"[n % 3]} for n in range(24)]
    assert "`prio`" not in guess_answer(table(rows)).why


def test_codes_name_rows_whatever_their_column_is_called() -> None:
    rows = [{"text": text(n), "ticket": f"T{n:03}", "who": "ab"[n % 2]} for n in range(12)]
    assert guess_id(table(rows), ["text"]).value == "ticket"
    for code in ("same", "", "2024-01-01"):
        rows[3]["ticket"] = code
        rows[4]["ticket"] = code
        assert guess_id(table(rows), ["text"]).value is None
    amounts = [{"text": text(n), "amount": n * 10.5} for n in range(12)]
    assert guess_id(table(amounts), ["text"]).value is None


def test_a_group_has_a_telling_name_and_repeats_often_enough() -> None:
    rows = [{"text": text(n), "customerId": f"c{n % 15}", "user": n} for n in range(40)]
    assert guess_group(table(rows), ["text"], ["text"]).value == "customerId"
    rows = [{"text": text(n), "customer": f"c{n % 4}"} for n in range(40)]
    few = guess_group(table(rows), ["text"], ["text"])
    assert few.value is None
    assert "too few" in few.why


def test_a_group_is_what_alike_texts_share() -> None:
    rows = [
        {"text": words(n // 3 * 30, 20) + " again" * (n % 3 > 0), "blob": f"b{n // 3}"}
        for n in range(60)
    ]
    found = guess_group(table(rows), ["text"], ["text"])
    assert (found.value, "100 % of the texts" in found.why) == ("blob", True)


def test_an_id_names_each_row() -> None:
    rows = [{"text": text(n), "ticket_id": f"T{n}", "paid": 1.5 * n} for n in range(9)]
    assert guess_id(table(rows), ["text"]).value == "ticket_id"
    assert guess_id(table([*rows, rows[0]]), ["text"]).value is None


def test_columns_that_give_the_answer_away() -> None:
    names = ("billing", "delivery", "praise")
    columns = table(
        {
            "text": text(n),
            "code": n % 3,
            "done": f"closed by the {names[n % 3]} team, case {n}",
            "copy": names[n % 3],
            "fair": n % 2,
            "topic": names[n % 3],
        }
        for n in range(30)
    )
    told = gives_away(columns, columns["topic"])
    assert set(told) == {"code", "done", "copy"}
    assert "30 of 30" in told["done"]


def test_a_text_that_lists_the_answers_does_not_give_one_away() -> None:
    names = ("calm", "not calm", "rough")
    rows = [
        {
            "options": f"Is it calm, not calm or rough? {text(n)}",
            "weighed": f"{text(n)} It was {names[n % 3]}, not {names[(n + 1) % 3]}.",
            "said": f"{text(n)} It was {names[n % 3].upper()}!",
            "sea": names[n % 3],
        }
        for n in range(30)
    ]
    columns = table(rows)
    assert set(gives_away(columns, columns["sea"])) == {"said"}
    # A few gaps hide nothing.
    rows[0]["said"] = rows[1]["sea"] = ""
    columns = table(rows)
    assert "in 28 of 28 rows" in gives_away(columns, columns["sea"])["said"]


def instructed(number: int, **more: Any) -> dict[str, Any]:
    return {"instruction": f"Do thing {number % 4} now.", **more}


@pytest.mark.parametrize(
    ("row", "answer", "texts"),
    [
        (lambda n: instructed(n, text=text(n), label="ab"[n % 2]), "label",
         ("instruction", "text")),
        (lambda n: instructed(0, text=text(n), label="ab"[n % 2]), "label", ("text",)),
        (lambda n: instructed(n, output=words(n * 5, 5), id=f"i{n}"), "output", ("instruction",)),
        (lambda n: instructed(n, context=text(n), response=text(-n), category="abc"[n % 3]),
         "response", ("instruction", "context")),
        (lambda n: {"system": f"You are clerk {n % 5}.", "prompt": text(n), "label": "ab"[n % 2]},
         "label", ("system", "prompt")),
        (lambda n: {"text": text(n), "system": ("linux", "bsd")[n % 2]}, "system", ("text",)),
        (lambda n: {"system_prompt": "You are a clerk.", **instructed(n, input=text(n)),
                    "output": words(n, 2)}, "output", ("instruction", "input")),
        (lambda n: {"question": ("Is it about tides?", "Is it about knots?")[n % 2],
                    "page": text(n), "answer": "ab"[n % 3 % 2]}, "answer", ("question", "page")),
        (lambda n: {"question": "Is it about tides?", "page": text(n), "answer": "ab"[n % 2]},
         "answer", ("page",)),
        (lambda n: {"prompt": text(n), "chosen": words(n, 3), "rejected": text(n) * 3,
                    "score_chosen": n % 3}, "chosen", ("prompt",)),
    ],
)  # fmt: skip
def test_what_each_row_says_to_do_is_shown(row: Any, answer: str, texts: tuple[str, ...]) -> None:
    columns = table(map(row, range(1, 41)))
    assert guess_answer(columns).value == answer
    assert guess_texts(columns, [answer]).value == texts


def test_a_free_answer_that_is_found_in_the_text_is_not_given_away() -> None:
    rows = [{"page": f"{words(n, 9)} and {words(n + 50, 4)} or {words(n, 3)}",
             "full": f"Say it. Response: {words(n + 50, 4)}</s>", "answer": words(n + 50, 4)}
            for n in range(20)]  # fmt: skip
    columns = table(rows)
    assert set(gives_away(columns, columns["answer"])) == {"full"}


def test_preference_pairs_without_what_was_asked() -> None:
    columns = table({"chosen": text(n), "rejected": text(n) * 2} for n in range(20))
    with pytest.raises(DataError, match="no column holds what was asked"):
        guess_texts(columns, ["chosen"])


@pytest.mark.parametrize(
    ("value", "name", "why"),
    [
        (lambda n: f"c{n % 9}" if n != 3 else "", "customer", r"empty in 1 row\(s\) \(line 4\)"),
        (lambda n: f"c{n % 9}" if n % 4 else " ", None, r"empty in 15 row\(s\) \(lines 1, 5, 9"),
        (lambda n: f"c{n}", None, "nearly every row has a value of its own"),
        (lambda n: "c", None, "it has the same value in every row"),
        (lambda n: [f"c{n % 9}"], None, "it holds lists or objects"),
        (lambda n: f"2031-02-{n % 9 + 1:02}", None, "it holds dates"),
    ],
)  # fmt: skip
def test_why_a_column_is_a_group_or_not(value: Any, name: str | None, why: str) -> None:
    columns = table({"text": text(n), "customer": value(n)} for n in range(60))
    found = guess_group(columns, ["text"], ["text"])
    assert found.value == name
    assert re.search(why, found.why)


def test_why_a_column_is_no_id() -> None:
    rows = [{"text": text(n), "id": f"k{n}"} for n in range(20)]
    rows[4]["id"] = ""
    assert guess_id(table(rows), ["text"]).why.startswith("`id` is empty in 1 row(s) (line 5)")
    rows[4]["id"] = "k9"
    assert guess_id(table(rows), ["text"]).why.startswith("`id` holds 'k9' twice")


def test_a_text_is_no_answer_beside_a_price() -> None:
    rows = [{"review": text(n), "price": f"€{n},50"} for n in range(30)]
    assert guess_answer(table(rows)).value == "price"


def test_a_constant_list_is_no_answer_beside_one_that_differs() -> None:
    rows = [{"note": text(n), "options": ["a", "b"], "accept": ["ab"[n % 2]]} for n in range(30)]
    assert guess_answer(table(rows)).value == "accept"


def test_one_character_may_give_the_answer_away() -> None:
    labels = "赤青黄"
    rows = [{"note": f"{text(n)}。{labels[n % 3]}です", "colour": labels[n % 3]} for n in range(30)]
    columns = table(rows)
    assert set(gives_away(columns, columns["colour"])) == {"note"}
