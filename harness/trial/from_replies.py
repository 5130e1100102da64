"""Score a trial from replies that are known, without its weights."""

from __future__ import annotations

from types import SimpleNamespace

from harness.evaluation.known_replies import KnownReplies, UnknownReplyError
from harness.records import TrialSpec
from harness.spec.settings import settings_from
from harness.trial.candidate import Announce, TrialRun, candidate_of
from harness.trial.scoring import known_replies, score_requests, unknown_scores

# What no stored reply tells: these are measured on the weights.
OF_WEIGHTS = ("divergence", "latency")


def score_from_replies(spec: TrialSpec, run: TrialRun, announce: Announce) -> bool:
    """Score what is asked for if every reply to it is known.

    Returns:
        Whether they were; else nothing was scored, and the weights are needed.
    """
    from harness.evaluation.local.weightless_lm import WeightlessLM
    from harness.models.load import LoadedModel, form_of, load_config, load_tokenizer

    if any(request.suite in OF_WEIGHTS for request in unknown_scores(spec)):
        return False
    settings = settings_from(spec.params)
    config, tokenizer = load_config(spec.model), load_tokenizer(spec.model)
    on_paper = LoadedModel(
        SimpleNamespace(config=config), tokenizer, form_of(settings, spec.runtime), 0
    )
    candidate = candidate_of(spec, on_paper)
    weightless = WeightlessLM(config, tokenizer, spec.date, spec.template_args)
    lm = KnownReplies(weightless, known_replies(spec))
    scored = TrialRun()
    try:
        score_requests(candidate, scored, announce, lm)
    except UnknownReplyError:
        return False
    run.scores.extend(scored.scores)
    run.environment |= scored.environment
    return True
