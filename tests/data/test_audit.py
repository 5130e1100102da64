"""The audit: known answers, and the fast search against the slow definition."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.answers.words import words as split_words
from harness.data import LeakageAudit, audit_general, audit_leakage
from harness.data.audit import strongest_first
from harness.data.normalise import normalised
from harness.data.overlap import NEAR, NGRAM, SHINGLE, longest_run
from harness.data.split import merge_duplicates
from harness.records import Example, from_json, to_json

from .tiny import example, words


def kinds(audit: LeakageAudit) -> list[tuple[str, str, str]]:
    return sorted((pair.kind, pair.seen_id, pair.other_id) for pair in audit.pairs)


def test_exact_is_blind_to_case_space_punctuation_and_width() -> None:
    train = [example("t1", "Where is\tmy CARD?"), example("t2", "Ｗｈｅｒｅ is my card"),
             example("t3", "Where is my car")]  # fmt: skip
    audit = audit_leakage(train, {"test": [example("e", "where is my card!")]})
    assert kinds(audit) == [("exact", "t1", "e"), ("exact", "t2", "e")]
    assert audit.flagged == {"test": {"exact": 1, "near": 0, "ngram": 0}}
    assert audit.pairs[0].similarity == 1.0


def test_near_takes_the_true_similarity() -> None:
    base = words(0, 30)  # 28 shingles; another last word gives 27 / 29
    train = [example("near", base + " x"), example("far", words(0, 15) + " " + words(90, 15))]
    audit = audit_leakage(train, {"test": [example("e", base + " y")]})
    near = [pair for pair in audit.pairs if pair.kind == "near"]
    assert [(pair.seen_id, pair.other_id) for pair in near] == [("near", "e")]
    assert near[0].similarity == pytest.approx(28 / 30, abs=1e-4)


def test_eight_words_in_a_row_and_not_seven() -> None:
    eight = "a b c d e f g h"
    train = [example("t8", f"one two {eight} three"), example("t7", "b c d e f g h and so on")]
    audit = audit_leakage(train, {"test": [example("e", f"{eight} i j")]})
    assert kinds(audit) == [("ngram", "t8", "e")]
    assert audit.pairs[0].similarity == pytest.approx(1 / 3, abs=1e-4)


def test_short_texts_match_only_exactly_or_nearly() -> None:
    train = [example("t", "thanks a lot")]
    others = {"test": [example("a", "thanks a lot!"), example("b", "thanks a bunch")]}
    assert kinds(audit_leakage(train, others)) == [("exact", "t", "a")]


def test_fields_are_compared_apart_and_the_template_is_not_looked_at() -> None:
    train = [Example("t", {"a": words(0, 4), "b": words(4, 4)}, "x", "t")]
    other = [Example("e", {"a": words(0, 8), "b": "none"}, "x", "e")]
    assert audit_leakage(train, {"test": other}).pairs == ()


def test_scripts_without_spaces_are_compared_by_character() -> None:
    train = [example("t", "我的银行卡还没有到请问现在在哪里谢谢你们的帮助")]
    other = [example("e", "我的银行卡还没有到请问现在在哪里谢谢你们的帮忙")]
    audit = audit_leakage(train, {"test": other})
    assert [pair.kind for pair in audit.pairs] == ["near"]


def test_every_copy_is_flagged_on_both_sides() -> None:
    train = [example(f"t{n}", "the same text") for n in range(30)]
    other = [example(f"e{n}", "The same text.") for n in range(20)]
    audit = audit_leakage(train, {"test": other})
    assert len(audit.training_ids()) == 30
    assert len(audit.flagged_ids("test")) == audit.flagged["test"]["exact"] == 20
    assert len(audit.pairs) < 60


def test_splits_are_counted_apart_and_empty_ones_with_zero() -> None:
    train = [example("t", words(0, 20))]
    audit = audit_leakage(
        train, {"validation": [example("v", words(0, 20))], "test": [example("e", words(50, 20))]}
    )
    assert audit.flagged["validation"]["exact"] == 1
    assert audit.flagged["test"] == {"exact": 0, "near": 0, "ngram": 0}
    assert audit_leakage([], {"test": train}).pairs == ()
    assert audit_leakage(train, {"test": []}).pairs == ()


def test_boilerplate_is_not_an_ngram_match() -> None:
    notice = words(1000, 12)
    train = [example(f"t{n}", f"{notice} {words(n * 40, 20)}") for n in range(5)]
    other = [example(f"e{n}", f"{notice} {words(5000 + n * 40, 20)}") for n in range(20)]
    assert audit_leakage(train, {"test": other}).pairs == ()


def test_the_longest_run_is_counted_in_words() -> None:
    nine = words(0, 9)
    train = [
        example("run", f"before {nine} after it"),
        example("same", "The very same, in nine words and a few."),
        example("near", words(100, 30) + " x " + words(200, 3)),
    ]
    test = [
        example("e-run", f"{words(300, 5)} {nine} {words(400, 5)}"),
        example("e-same", "the very same in nine words and a few"),
        example("e-near", words(100, 30) + " y " + words(200, 3)),
    ]
    audit = audit_leakage(train, {"test": test})
    longest = {pair.other_id: (pair.kind, pair.longest_run) for pair in audit.pairs}
    assert longest == {"e-run": ("ngram", 9), "e-same": ("exact", 9), "e-near": ("near", 30)}


WORD = st.sampled_from("abcd")


@given(st.lists(WORD, max_size=12), st.lists(WORD, max_size=12), st.lists(WORD, max_size=5))
def test_the_longest_run_equals_the_slow_definition(
    one: list[str], other: list[str], more: list[str]
) -> None:
    fields = [one, more]
    found = longest_run(
        Example("a", {"f": " ".join(one), "g": " ".join(more)}, "", ""),
        example("b", " ".join(other)),
    )
    runs = {tuple(other[i:j]) for j in range(len(other) + 1) for i in range(j)}
    slow = [j - i for f in fields for j in range(len(f) + 1) for i in range(j)
            if tuple(f[i:j]) in runs]  # fmt: skip
    assert found == max(slow, default=0)


def test_validation_against_test_is_a_comparison_of_its_own() -> None:
    train = [example("t", words(0, 20))]
    others = {
        "validation": [example("v1", words(100, 20)), example("v2", words(200, 20) + " x")],
        "test": [
            example("e1", words(100, 20).upper()),
            example("e2", words(200, 20) + " y"),
            example("e3", words(500, 20)),
        ],
    }
    audit = audit_leakage(train, others)
    assert audit.pairs == ()
    assert audit.flagged["test"] == {"exact": 0, "near": 0, "ngram": 0}
    assert audit.training_ids() == frozenset()
    assert audit.selection_flagged == {"exact": 1, "near": 1, "ngram": 0}
    found = [(p.seen_in, p.seen_id, p.split, p.other_id) for p in audit.selection_pairs]
    assert found == [("validation", "v1", "test", "e1"), ("validation", "v2", "test", "e2")]
    assert audit_leakage(train, {"test": others["test"]}).selection_flagged == {}


def test_a_general_item_is_found_in_inputs_and_in_answers() -> None:
    essay = words(700, 40)
    train = [
        example("asks", "The capital of Germany is", answer="Berlin"),
        example("tells", "Write about trade.", answer=f"Here it is. {essay}"),
        example("again", "Write it once more.", answer=f"Here it is. {essay}"),
        example("other", "The capital of Peru is", answer="Lima"),
    ]
    audit = audit_general(
        train,
        {
            "facts": [
                ("f1", "The capital of Germany is"),
                ("f1", "The capital of Germany is Berlin"),
                ("f2", "The capital of France is"),
            ],
            "essays": [("s1", essay)],
            "sums": [],
        },
    )
    assert audit.flagged == {
        "facts": {"exact": 1, "near": 0, "ngram": 0},
        "essays": {"exact": 0, "near": 1, "ngram": 0},
        "sums": {"exact": 0, "near": 0, "ngram": 0},
    }
    assert audit.flagged_ids("facts") == {"f1"}
    assert kinds(audit) == [("exact", "asks", "f1"), ("near", "tells", "s1")]
    assert audit.flagged_items()["essays"] == {"exact": (), "near": ("s1",), "ngram": ()}


def test_the_strongest_pairs_come_first_in_any_order() -> None:
    base = words(0, 30)
    train = [example("t1", base), example("t2", base + " x"), example("t3", words(40, 20))]
    test = [example("e1", base), example("e2", base + " y"), example("e3", words(45, 9))]
    audit = audit_leakage(train, {"test": test})
    order = strongest_first(audit.pairs)
    assert [pair.kind for pair in order] == sorted(
        (pair.kind for pair in order), key=["exact", "near", "ngram"].index
    )
    assert strongest_first(reversed(audit.pairs)) == order


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=12), st.lists(st.integers(0, 12), max_size=12))
def test_counts_and_items_agree_with_the_pairs(left: list[int], right: list[int]) -> None:
    train = [example(f"t{n}", words(start, 9)) for n, start in enumerate(left)]
    test = [example(f"e{n}", words(start, 10)) for n, start in enumerate(right)]
    audit = audit_leakage(train, {"test": test})
    items = audit.flagged_items()["test"]
    assert {kind: len(ids) for kind, ids in items.items()} == audit.flagged["test"]
    listed = [identity for ids in items.values() for identity in ids]
    assert sorted(listed) == sorted(audit.flagged_ids("test"))


def test_the_audit_is_plain_data() -> None:
    audit = audit_leakage([example("t", "a b")], {"test": [example("e", "A b")]})
    assert from_json(LeakageAudit, to_json(audit)) == audit


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    found = split_words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


def slow_kind(one: Example, other: Example) -> str | None:
    """The definition, pair by pair."""
    if normalised(one) == normalised(other):
        return "exact"
    a, b = one.inputs["text"], other.inputs["text"]
    left, right = grams(a, SHINGLE), grams(b, SHINGLE)
    if left | right and len(left & right) / len(left | right) >= NEAR:
        return "near"
    return "ngram" if grams(a, NGRAM) & grams(b, NGRAM) else None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_flags_equal_the_slow_definition(seed: int) -> None:
    chance = random.Random(seed)
    sources = [[f"w{chance.randrange(60)}" for _ in range(30)] for _ in range(4)]

    def text() -> str:
        base = list(chance.choice(sources))
        start = chance.randrange(20)
        base = base[start : start + chance.randint(1, 30)]
        if chance.random() < 0.5:
            base[chance.randrange(len(base))] = f"other{chance.randrange(9)}"
        return " ".join(base)

    train = [example(f"t{n}", text()) for n in range(8)]
    other = [example(f"e{n}", text()) for n in range(8)]
    audit = audit_leakage(train, {"test": other})
    order: list[str | None] = ["exact", "near", "ngram"]
    for item in other:
        slow = [kind for one in train if (kind := slow_kind(one, item))]
        expected = min(slow, key=order.index) if slow else None
        fast = [pair.kind for pair in audit.pairs if pair.other_id == item.id]
        assert (min(fast, key=order.index) if fast else None) == expected
    leaking = {one.id for one in train for item in other
               if slow_kind(one, item) in ("exact", "near")}  # fmt: skip
    assert audit.training_ids() == leaking


def test_near_copies_by_the_thousand_are_flagged_in_linear_time() -> None:
    text = words(0, 20)
    train = [example(f"t{n}", f"{text} {n}") for n in range(2000)]
    other = [example(f"e{n}", f"{text} x{n}") for n in range(2000)]
    began = time.perf_counter()
    audit = audit_leakage(train, {"test": other})
    assert time.perf_counter() - began < 20
    assert len(audit.training_ids()) == 2000
    assert audit.flagged["test"]["near"] == 2000
    assert len(audit.pairs) <= 4000


def told(identity: str, system: str, text: str) -> Example:
    messages = ({"role": "system", "content": system}, {"role": "user", "content": text})
    return Example(identity, {"text": text}, "x", identity, messages=messages)


def test_the_same_text_under_another_system_message_is_another_item() -> None:
    text = words(0, 30)
    train = [told("t", "Translate to French.", text)]
    test = [
        told("same", "translate to French", text),
        told("near", "Translate to French.", f"{text} y"),
        told("other", "Translate to German.", text),
        told("none", "Translate to Greek.", words(60, 30)),
    ]
    assert kinds(audit_leakage(train, {"test": test})) == [
        ("exact", "t", "same"), ("near", "t", "near"), ("ngram", "t", "other"),
    ]  # fmt: skip
    short = [told("s", "Translate to French.", "Hello")]
    assert not audit_leakage(short, {"test": [told("e", "Translate to German.", "Hello")]}).pairs
    groups = {e.id: e.group for e in merge_duplicates([*train, *test[:1], *test[2:3]])}
    assert groups["t"] == groups["same"] != groups["other"]


def test_a_general_item_is_found_whatever_system_message_stands_before_it() -> None:
    audit = audit_general(
        [told("t", "Answer.", "Who wrote it")], {"suite": [("i", "who wrote it?")]}
    )
    assert kinds(audit) == [("exact", "t", "i")]
