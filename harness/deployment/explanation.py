"""Why a server's replies differ, as far as asking the scored model in other ways can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.deployment.agreement import ReplyPair, ScoredItem
from harness.deployment.finalist import loaded_candidate
from harness.deployment.forms import Form, given_by
from harness.deployment.hypotheses import CONVINCING, WEIGHED, reproduced
from harness.deployment.prompt_counts import differences, fitting_prompts, in_words
from harness.deployment.verification import Culprit
from harness.errors import InputError
from harness.export.asking import Asking
from harness.export.final_run import FinalRun
from harness.export.near_ties import TwoReplies, likelihood_gaps, tie_tolerance

QUANTISED: tuple[Form, ...] = ("8-bit", "4-bit")


def culprits_of_prompts(
    asking: Asking,
    scored: Sequence[ScoredItem],
    counted: Sequence[int],
    apart: Sequence[ReplyPair],
) -> Iterator[Culprit]:
    """What the server's counts of tokens say of its prompts; nothing where they are as scored.

    Args:
        counted: tokens of each item's prompt, as the server counts them.
        apart: items with another reply.
    """
    found = differences(scored, counted)
    if not any(found):
        return
    fitting = [] if asking.tokenizer is None else list(fitting_prompts(asking, scored, counted))
    pairs = apart[:WEIGHED]
    best, given = None, -1
    if fitting and pairs:
        try:
            with loaded_candidate(asking.run) as candidate:
                for prompt in fitting:
                    if (number := reproduced(candidate, pairs, prompt.tokens)) > given:
                        best, given = prompt, number
        except InputError:
            best = None
    elif fitting:
        best = fitting[0]
    if best is None or (pairs and given < CONVINCING * len(pairs)):
        yield Culprit("template", in_words(found))
        return
    proof = f"; asked so, the scored model gives {given} of {len(pairs)} of the replies that differ"
    yield Culprit(
        best.name,
        f"the prompts have {best.what}: the server's count of tokens is exactly that for every "
        f"item{proof if pairs else ''}",
    )


def culprits_of_weights(run: FinalRun, apart: Sequence[ReplyPair]) -> Iterator[Culprit]:
    """What the scored model itself, and its quantised forms, think of the server's replies."""
    if run.spec.endpoint is not None:
        yield Culprit(
            "weights",
            "prompts, sampling and endings are as they were: the provider's model itself, or its "
            "arithmetic, is another one now",
        )
        return
    pairs = apart[:WEIGHED]
    asked = [TwoReplies(pair.item, pair.scored, pair.deployed) for pair in pairs]
    try:
        with loaded_candidate(run) as candidate:
            gaps = likelihood_gaps(candidate, asked)
            tolerance = tie_tolerance(candidate, [pair.item for pair in pairs])
    except InputError:
        # Without the weights nothing can be weighed; what was found stays true.
        return
    as_they_were = "prompts, sampling and endings are as they were"
    ties = sum(gap <= tolerance for gap in gaps)
    if ties == len(gaps):
        yield Culprit(
            "rounding",
            f"{as_they_were}, and all of {len(gaps)} different replies are near ties to the scored "
            f"model (equally likely within {tolerance:.2g} nats), which the last digits decide",
        )
        return
    for form in QUANTISED:
        given = given_by(run, form, pairs)
        if given is not None and given >= CONVINCING * len(pairs):
            yield Culprit(
                "quantisation",
                f"{as_they_were}, and the winner's own weights in {form} give {given} of "
                f"{len(pairs)} of the replies that differ: the server's weights have fewer bits",
            )
            return
    yield Culprit(
        "weights",
        f"{as_they_were}, but the scored model finds its own reply up to {max(gaps):.2g} nats "
        f"likelier than the server's, where rounding moves {tolerance:.2g} at most ({ties} of "
        f"{len(gaps)} are near ties): the server's weights are others, or in another form",
    )


__all__ = ["culprits_of_prompts", "culprits_of_weights"]
