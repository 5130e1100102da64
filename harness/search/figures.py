"""What Optuna makes of a search: importances of settings, and its own drawings, as SVG.

Nothing here is shown on a screen: figures are made, restyled for the page that they go to, and
closed, and the caller's matplotlib settings stay as they were.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from harness.findings import SearchPicture
from harness.search.rebuilt import StoredSearch, StoredTrial, rebuild

EVALUATOR = "fANOVA"
SEED = 0
# A forest takes time in proportion to its trees and to its trials: long searches get fewer trees.
TREES, FEWEST_TREES, TRIALS_OF_ALL_TREES = 64, 16, 60
# Deeper ones tell one trial from the next: they take twice as long and give the same shares.
DEPTH = 8
# More axes than this cannot be read beside one another.
DRAWN_SETTINGS = 6
HEIGHT = 3.2
SMALL = 7


@dataclass(frozen=True, slots=True)
class Look:
    """How the page draws."""

    rc: Mapping[str, Any]
    """Settings of matplotlib."""
    width: float
    """Width in inches."""
    ink: str
    """Colour of text and lines, which the page replaces later."""
    colour: str
    """Colour of the arm, which the page replaces later."""
    score: str
    """Label of the score's axis."""
    factor: float
    """Number that scores are multiplied by to be drawn."""
    margin: str
    """What a loss beyond the margin is called in a legend."""
    value: Callable[[str], str]
    """How a choice is written."""


def picture(search: StoredSearch, arm: str, selected: int | None, look: Look) -> SearchPicture:
    """Importances and drawings of one arm's search.

    Importances are the shares of the score's variance that fANOVA (Hutter, Hoos and
    Leyton-Brown, 2014) gives to each setting alone, from a random forest with a fixed seed; a
    setting that was searched on a logarithmic scale counts on that scale.

    Args:
        selected: position in ``search.trials`` of the trial that is drawn strong.

    Raises:
        ValueError: no trial is complete, or a trial's setting lies outside the search space.
    """
    drawn = rebuild(_drawn(search, look.factor))
    complete = drawn.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise ValueError(f"no trial of {search.name} is complete")
    changes = [trial.user_attrs.get("general_change") for trial in complete]
    importances = _importances(complete, [float(trial.value or 0.0) for trial in complete])
    known = [float(change) for change in changes if change is not None]
    names = tuple(importances or search.space)[:DRAWN_SETTINGS]
    return SearchPicture(
        arm=arm,
        trials=len(complete),
        evaluator=EVALUATOR,
        importances=importances,
        forgetting=_importances(complete, known) if len(known) == len(complete) else {},
        drawn=tuple(sorted(names)),
        history=_history(drawn, selected, look),
        parallel=_parallel(drawn, list(names), selected, look),
    )


def _drawn(search: StoredSearch, factor: float) -> StoredSearch:
    """The search with one objective, the score as it is shown."""
    return replace(
        search,
        two_objectives=False,
        trials=tuple(_scaled(trial, factor) for trial in search.trials),
    )


def _scaled(trial: StoredTrial, factor: float) -> StoredTrial:
    return replace(trial, score=None if trial.score is None else trial.score * factor, values=())


def _importances(trials: list[FrozenTrial], targets: list[float]) -> dict[str, float]:
    """Shares that add up to 1, the largest first; empty where the targets do not differ."""
    if not trials[0].distributions or len(set(targets)) < 2:
        return {}
    study = optuna.create_study()
    for trial, target in zip(trials, targets, strict=True):
        pairs = {
            name: _linear(trial.params[name], distribution)
            for name, distribution in trial.distributions.items()
        }
        study.add_trial(
            create_trial(
                value=target,
                params={name: value for name, (value, _) in pairs.items()},
                distributions={name: space for name, (_, space) in pairs.items()},
            )
        )
    trees = max(FEWEST_TREES, TREES * TRIALS_OF_ALL_TREES // max(TRIALS_OF_ALL_TREES, len(trials)))
    evaluator = optuna.importance.FanovaImportanceEvaluator(
        n_trees=trees, max_depth=DEPTH, seed=SEED
    )
    try:
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except RuntimeError:
        # No tree of the forest found a split: the targets hardly differ.
        return {}
    return {name: float(share) for name, share in shares.items()}


def _linear(value: Any, space: BaseDistribution) -> tuple[Any, BaseDistribution]:
    """A value of a logarithmic range on a linear one: Optuna's forest measures volumes."""
    if isinstance(space, FloatDistribution | IntDistribution) and space.log:
        return math.log10(value), FloatDistribution(math.log10(space.low), math.log10(space.high))
    return value, space


def _history(study: optuna.Study, selected: int | None, look: Look) -> str:
    with _drawing(look):
        from matplotlib.ticker import MaxNLocator

        axes: Any = optuna.visualization.matplotlib.plot_optimization_history(
            study, target_name=look.score
        )
        figure = _plain(axes, look)
        kept, lost = axes.collections[:2]
        kept.set(color=look.colour, label="a trial")
        axes.lines[0].set(color=look.ink, alpha=1, linewidth=0.9, label="best so far")
        lost.set(facecolor="none", edgecolor=look.colour, linewidth=1.2, label=look.margin)
        handles = [kept, axes.lines[0], *([lost] if len(lost.get_offsets()) else [])]
        _mark(axes, study, selected, look)
        figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Trial, in the order of asking (stopped and failed ones left out)")
        return _svg(figure)


def _mark(axes: Any, study: optuna.Study, selected: int | None, look: Look) -> None:
    if selected is None or study.trials[selected].value is None:
        return
    score = study.trials[selected].value
    axes.plot(selected, score, "o", markersize=12, markerfacecolor="none", color=look.ink)
    axes.annotate(
        "selected", (selected, score), textcoords="offset points", xytext=(7, -13), ha="left"
    )
    axes.margins(0.08, 0.2)


def _parallel(study: optuna.Study, names: list[str], selected: int | None, look: Look) -> str:
    with _drawing(look):
        from matplotlib.gridspec import GridSpec

        axes: Any = optuna.visualization.matplotlib.plot_parallel_coordinate(
            study, params=names, target_name=look.score
        )
        (lines,) = axes.collections
        # Optuna's colours are made for one background; strength of line says it on any.
        lines.colorbar.remove()
        whole = GridSpec(1, 1, figure=axes.figure)[0]
        for panel in axes.figure.axes:
            panel.set_subplotspec(whole)
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        scores = [float(trial.value or 0.0) for trial in complete]
        chosen = [trial.number == selected for trial in complete]
        sign = 1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
        best, worst = max(s * sign for s in scores), min(s * sign for s in scores)
        strength = [(s * sign - worst) / (best - worst) if best > worst else 1.0 for s in scores]
        lines.set_array(None)
        lines.set_color(look.colour)
        lines.set_alpha(
            [1.0 if own else 0.25 + 0.6 * s for s, own in zip(strength, chosen, strict=True)]
        )
        lines.set_linewidth([3.0 if own else 1.4 for own in chosen])
        lines.set_clip_on(False)
        if axes.get_legend() is not None:
            axes.get_legend().remove()
        figure = _plain(axes, look)
        axes.set_xticklabels(
            [tick.get_text().replace("_", "\n") for tick in axes.get_xticklabels()], rotation=0
        )
        axes.tick_params(axis="x", length=0)
        axes.tick_params(axis="y", labelsize=SMALL)
        space = complete[0].distributions
        # Optuna sorts the settings by name.
        for other, name in zip(figure.axes[1:], sorted(names), strict=True):
            _side(other, space[name], look)
        return _svg(figure)


def _side(axes: Any, space: BaseDistribution, look: Look) -> None:
    """The upright axis of one setting."""
    from matplotlib.ticker import MaxNLocator, NullLocator

    axes.spines["right"].set_visible(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", which="both", labelsize=SMALL, length=2)
    if isinstance(space, CategoricalDistribution):
        written = [tick.get_text() for tick in axes.get_yticklabels()]
        axes.set_yticks(axes.get_yticks(), [look.value(text) for text in written])
    elif isinstance(space, IntDistribution) and not space.log:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    elif axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticks(ends := [low, math.sqrt(low * high), high], [f"{v:.2g}" for v in ends])


def _plain(axes: Any, look: Look) -> Any:
    """Take Optuna's style off, whatever it set.

    Returns:
        The figure itself.
    """
    figure = axes.figure
    figure.set_size_inches(look.width, HEIGHT)
    figure.set_layout_engine("constrained")
    if axes.get_legend() is not None:
        axes.get_legend().remove()
    for panel in figure.axes:
        panel.set_title("")
        panel.set_title("", loc="left")
        panel.set_facecolor("none")
        panel.grid(False)
        for spine in panel.spines.values():
            spine.set(color=look.ink, linewidth=0.6)
        panel.tick_params(which="both", colors=look.ink, labelcolor=look.ink)
        for label in (panel.xaxis.label, panel.yaxis.label):
            label.set(color=look.ink, fontsize=look.rc.get("font.size", 9))
    return figure


@contextmanager
def _drawing(look: Look) -> Iterator[None]:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    before = set(plt.get_fignums())
    with mpl.rc_context(dict(look.rc)), plt.ioff(), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        try:
            yield
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)


def _svg(figure: Any) -> str:
    written = io.StringIO()
    blank = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(written, format="svg", transparent=True, metadata=blank)
    return written.getvalue()


__all__ = ["EVALUATOR", "Look", "picture"]
