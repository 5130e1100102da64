"""A whole study against the script that someone without the product would write.

    python -m lab.benchmarks.study [--scale 0.05] [--trials 1] [--pairs 1] [--one-process]
    python -m lab.benchmarks.study --experiment experiments/quickstart.yaml [--pairs 3]

The product runs ``experiments/product-feedback.yaml``, its examples cut to ``--scale``, or any
experiment as it stands. The peer then does the same trials (their settings come from the product's
store): transformers' ``Trainer`` and peft on the same batches, the weights saved, and lm-eval's
``HFLM`` on the same items of the task and of the general suite; see ``peer_script.py``. A process
for each trial, or with ``--one-process`` one for all of them, which pays for imports once.

The comparison leans to the peer. It scores nothing twice that the product takes from its store, has
its prompts and task files written beforehand, and scores the model that it has in memory. It does
not search, measure memorisation, divergence or latency, check canaries, keep a store or write a
report: all that is on the product's clock alone. What the product stops early, the peer does whole.

Asserted: items of the base and the prompt arms have the same scores, one by one (in float32 the
same replies), but for a share that rounding explains; the scores of each fine-tuned model agree
within four standard errors of the paired difference.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.models.load import quiet_libraries
from harness.records import TrialSpec, from_json
from harness.store import STORE_FILE, StoreReader
from lab.benchmarks.pairs import HEADER, Pairs, alternate, machine, row
from lab.benchmarks.peer_tasks import PeerFiles, PeerTrial
from lab.benchmarks.study_agreement import agreement

FEEDBACK = Path(__file__).parents[2] / "experiments" / "product-feedback.yaml"
SCRIPT = Path(__file__).with_name("peer_script.py")


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of one side."""

    seconds: float
    """Wall time of its processes."""


@dataclass(slots=True)
class Sides:
    """Both sides of a pair."""

    experiment: Path
    """The experiment file."""
    folder: Path
    """Folder of all that is written."""
    batch_size: int
    """Requests in a forward pass of the peer."""
    one_process: bool
    """The peer runs all trials in one process."""
    results: Path = field(init=False)
    """Folder of the product's last run."""
    trials: list[PeerTrial] = field(default_factory=list)
    """Trials that the peer repeats."""
    pruned: int = 0
    """Number of trials that the product stopped early."""
    runs: int = 0
    """Number of runs of the product."""

    def own(self) -> Ran:
        """The study, from an empty store to its report."""
        self.runs += 1
        self.results = self.folder / f"results-{self.runs}"
        command = [str(Path(sys.executable).with_name("harness")), "run", str(self.experiment)]
        seconds = _timed([*command, "--results", str(self.results), "--quiet"], {})
        if not self.trials:
            self._repeat(self.store)
        return Ran(seconds)

    def peer(self) -> Ran:
        """The same trials by the script."""
        for trial in self.trials:
            trial.out.unlink(missing_ok=True)
            shutil.rmtree(trial.out.with_name(trial.spec.trial_id), ignore_errors=True)
        paths = [str(trial.path) for trial in self.trials]
        calls = [paths] if self.one_process else [[path] for path in paths]
        cache = {"HF_DATASETS_CACHE": str(self.folder / "datasets")}
        return Ran(sum(_timed([sys.executable, str(SCRIPT), *call], cache) for call in calls))

    @property
    def store(self) -> StoreReader:
        """The product's last run."""
        return StoreReader(self.results / STORE_FILE)

    def _repeat(self, store: StoreReader) -> None:
        """Take the trials out of the store and write them as the script reads them."""
        files = PeerFiles(self.folder / "peer", self.batch_size)
        for status, text in store.query("SELECT status, spec FROM trial ORDER BY started_at").rows:
            if status == "failed":
                sys.exit("a trial of the product failed: there is nothing to compare")
            self.pruned += status == "pruned"
            trial = files.add(from_json(TrialSpec, text))
            if trial is not None:
                self.trials.append(trial)


def _timed(command: list[str], more: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return seconds


def scaled(
    scale: float, trials: int, arms: str, folder: Path, dtype: str, *, elsewhere: bool
) -> Path:
    """The experiment with fewer examples, items and trials, as a file.

    Args:
        arms: names of those kept; empty for all.
        elsewhere: keep its test sets from out of the domain.
    """
    plain: dict[str, Any] = yaml.safe_load(FEEDBACK.read_text())

    def part(whole: int, least: int) -> int:
        return max(least, round(whole * scale))

    limits = plain["data"]["limits"]
    for name, whole in limits.items():
        # Whole batches of training examples, so that a short last one is nobody's burden.
        limits[name] = 8 * part(whole // 8, 2) if name == "train" else part(whole, 4)
    if not elsewhere:
        del plain["data"]["out_of_domain"], limits["out_of_domain"]
    general = plain["general"]
    general["limit"] = part(general["limit"], 4)
    general["search_limit"] = min(general["search_limit"], general["limit"])
    if arms:
        plain["arms"] = {name: plain["arms"][name] for name in arms.split(",")}
    plain["memorisation_items"] = part(plain["memorisation_items"], 4)
    plain["budget"]["trials"] = trials
    plain["model"] = {"reference": plain["model"], "dtype": dtype}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False))
    return path


def main() -> None:
    """Run both sides and compare what they found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--experiment", type=Path, help="this one as it stands; no scale, arms, trials or dtype"
    )
    parser.add_argument("--scale", type=float, default=0.05)
    parser.add_argument("--arms", default="", help="names parted by commas; all if not given")
    parser.add_argument("--trials", type=int, default=1, help="settings that each arm tries")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--peer-batch", type=int, default=16, help="requests a pass of the peer")
    parser.add_argument("--dtype", default="auto", choices=["auto", "bfloat16", "float32"])
    parser.add_argument("--one-process", action="store_true", help="one process for all trials")
    parser.add_argument(
        "--out-of-domain",
        action="store_true",
        help="with the three test sets from elsewhere, as always at scale 1",
    )
    parser.add_argument("--folder", type=Path, help="keep everything here; must not exist")
    options = parser.parse_args()
    quiet_libraries()
    if options.folder:
        options.folder.mkdir(parents=True)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="study-benchmark-"))
    experiment, name = options.experiment, ""
    if experiment is None:
        elsewhere = options.out_of_domain or options.scale >= 1
        experiment = scaled(
            options.scale, options.trials, options.arms, folder, options.dtype, elsewhere=elsewhere
        )
        name = f"product-feedback at {options.scale:g}, {options.trials} trials an arm"
    sides = Sides(experiment, folder.resolve(), options.peer_batch, options.one_process)
    print(machine(), flush=True)
    # The product is first in the first pair: its store says which trials there are.
    found = alternate(sides.own, sides.peer, options.pairs)
    pairs: Pairs[Ran] = Pairs(
        [one.seconds for one in found.own_results], [one.seconds for one in found.peer_results]
    )
    dtype = sides.trials[0].spec.runtime.dtype
    print(f"{dtype}; {len(sides.trials)} trials repeated, {sides.pruned} of them stopped early by "
          "the product")  # fmt: skip
    agreed = agreement(sides.store, sides.trials, dtype)
    for line in agreed.lines:
        print(f"  {line}")
    print("\n" + HEADER)
    print(row(name or experiment.stem, pairs, agreed.short), flush=True)
    agreed.hold()
    if not options.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
