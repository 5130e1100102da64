"""That the items that judge are of too few groups to tell anything."""

from __future__ import annotations

from harness.analysis.statistics.few_clusters import fewest_clusters
from harness.data import Prepared
from harness.spec import Experiment
from harness.wording import confidence, plural


def too_few_groups(experiment: Experiment, prepared: Prepared) -> list[str]:
    """A sentence where no difference on test could be told from chance, however large."""
    level = experiment.contrast.level
    groups, least = prepared.groups["test"], fewest_clusters((1 - level) / 2)
    if groups >= least:
        return []
    column = experiment.data.group
    held = plural(len(prepared.splits.test), "example")
    what = f"{held} of {plural(groups, 'group')} (data.group: {column})" if column else held
    return [
        f"test has {what}: with fewer than {least} {'groups' if column else 'examples'} no "
        f"difference, however large, can be told from chance at {confidence(level)}; give it more"
    ]


__all__ = ["too_few_groups"]
