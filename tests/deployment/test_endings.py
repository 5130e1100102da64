"""How replies end explains those that it covers, and no others."""

from __future__ import annotations

from harness.deployment.agreement import ReplyPair
from harness.deployment.endings import culprits_of_endings, without_ending
from harness.deployment.verification import Culprit, each_once
from tests.tiny_model import message


def pairs(*replies: tuple[str, str]) -> list[ReplyPair]:
    return [
        ReplyPair(message(f"m{n}", "text", "label"), scored, deployed)
        for n, (scored, deployed) in enumerate(replies)
    ]


def test_a_label_that_begins_with_another_does_not_explain_the_rest() -> None:
    apart = pairs(("refund", "refund_partial"), *[("card", "loan")] * 29)
    (culprit,) = culprits_of_endings(apart)
    assert (culprit.name, culprit.explains) == ("stop tokens", False)
    assert "1 of 30 replies that differ" in culprit.found
    assert without_ending(apart) == tuple(apart)


def test_what_most_replies_have_explains_them_and_the_rest_is_left_to_weigh() -> None:
    apart = pairs(*[("card", "card and so on")] * 3, ("card", " card"), ("card", "loan"))
    found = {culprit.name: culprit.explains for culprit in culprits_of_endings(apart)}
    assert found == {"stop tokens": True, "white space": False}
    assert [pair.deployed for pair in without_ending(apart)] == [" card", "loan"]


def test_a_reason_that_was_tried_replaces_the_one_that_was_supposed() -> None:
    supposed, tried = Culprit("quantisation", "q4", explains=False), Culprit("quantisation", "4")
    assert each_once([supposed, tried]) == (tried,)
