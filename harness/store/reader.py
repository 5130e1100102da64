"""The only way out of the store: named questions, and the user's own SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from harness.errors import InputError, StoreError
from harness.records import (
    Event,
    ExperimentRecord,
    FoundStudy,
    KnownTraining,
    Reply,
    Status,
    StoredStudy,
    Study,
    SuiteKind,
    TrialSummary,
    primary_name,
)
from harness.store.connection import WAIT_SECONDS, Parameters, reading, reading_for_user
from harness.store.experiments import all_experiments, events_of, experiment_by_id
from harness.store.naming import known_scores, named_ids, scored_keys
from harness.store.reuse import (
    StoredIdentity,
    StoredWeights,
    UnnamedWeights,
    answered_items,
    identities,
    named_trials,
    replies_of,
    test_readers,
    training_of,
    unnamed_weights,
    weights_of,
)
from harness.store.schema import require_version
from harness.store.search_scores import answered_of, item_values_of
from harness.store.sharing import SharedTrials, shared_trials
from harness.store.standing import stored_studies
from harness.store.summaries import summaries_of

if TYPE_CHECKING:
    import pandas as pd

VIEWS = ("trials", "scores", "items", "finalists", "costs", "test_accesses")


@dataclass(frozen=True, slots=True)
class QueryResult:
    """An answer to SQL."""

    columns: tuple[str, ...]
    """Names of the columns, shape (m,)."""
    rows: tuple[tuple[Any, ...], ...]
    """Tuples of m values, n of them; NULL is None."""

    @property
    def named(self) -> tuple[dict[str, Any], ...]:
        """The rows as column name -> value."""
        return tuple(dict(zip(self.columns, row, strict=True)) for row in self.rows)


class StoreReader:
    """Reads one store. The file is open only inside each call, so a run can go on beside it.

    Every method raises InputError if there is no store at ``path``, and StoreError if it stays
    busy, is damaged, or is of another version.

    Args:
        path: the DuckDB file.
        wait_seconds: seconds that a call waits for a process that is writing.
    """

    def __init__(self, path: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self.path = path
        self._wait_seconds = wait_seconds

    def experiments(self) -> tuple[ExperimentRecord, ...]:
        """Every experiment, the one declared last at the end."""
        with self._reading() as connection:
            return all_experiments(connection)

    def studies(self) -> tuple[StoredStudy, ...]:
        """Every study with how far it is, the one declared last at the end."""
        with self._reading() as connection:
            return stored_studies(connection)

    def shared_trials(self, experiment_id: str) -> tuple[SharedTrials, ...]:
        """The other studies that use what trials of this one scored."""
        with self._reading() as connection:
            return shared_trials(connection, experiment_id)

    def find(self, name_or_id_prefix: str | None = None) -> FoundStudy:
        """The study that a name means: the newest of that name that is finished.

        Where none of that name is finished it is the newest; the start of an id means that study;
        without either all studies are meant as if they had one name.

        Raises:
            InputError: the name is empty, there is none, or several ids begin so; the message
                lists what exists.
        """
        stored = self.studies()
        asked = name_or_id_prefix
        known = ", ".join(f"{study.experiment.name} ({study.short_id})" for study in stored)
        if asked == "":
            raise InputError(
                "the name of the study is empty; give a name or the start of an id. "
                f"Stored in {self.path}: {known or 'none'}"
            )
        named = [study for study in stored if asked in (None, study.experiment.name)]
        if named:
            finished = [study for study in named if study.finished]
            chosen, newest = (finished or named)[-1], named[-1]
            return FoundStudy(chosen, newer=None if newest is chosen else newest)
        if asked is None:
            raise InputError(f"{self.path} holds no experiment yet; `harness run` makes one")
        begun = [study for study in stored if study.experiment.experiment_id.startswith(asked)]
        if len(begun) == 1:
            return FoundStudy(begun[0])
        rule = (
            "several experiments have ids that begin with" if begun else "no experiment is called"
        )
        raise InputError(
            f"{rule} {asked!r} in {self.path}; give a name or more of an id. "
            f"Stored: {known or 'none'}"
        )

    def trials(self, experiment_id: str, trial_id: str | None = None) -> tuple[TrialSummary, ...]:
        """Every trial of the experiment without its items, by arm, phase, number and seed.

        Args:
            trial_id: id of the only trial to give, if it is in the store; all if None.
        """
        with self._reading() as connection:
            return summaries_of(connection, experiment_id, trial_id)

    def events(self, experiment_id: str) -> tuple[Event, ...]:
        """What happened to the experiment, in order of recording."""
        with self._reading() as connection:
            return events_of(connection, experiment_id)

    def item_values(
        self, experiment_id: str, trial_id: str, suite: str, split: str, metric: str
    ) -> dict[str, float]:
        """Item id -> value of one metric of a trial that the study names; unscored are absent."""
        with self._reading() as connection:
            return item_values_of(connection, experiment_id, trial_id, suite, split, metric)

    def answered(self, score_key: str, metric: str) -> dict[str, tuple[str, float]]:
        """Item id -> reply and value of one metric, of a score; unscored items are absent."""
        with self._reading() as connection:
            return answered_of(connection, score_key, metric)

    def known_scores(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of ``keys`` that need not be scored again; failed trials' scores do not count."""
        with self._reading() as connection:
            return known_scores(connection, keys)

    def status(self, trial_id: str) -> Status | None:
        """How the trial ended, whichever study asked for it; None where it has not."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT status FROM trial WHERE trial_id = ?", [trial_id]
            ).fetchone()
        status: Status | None = row[0] if row else None
        return status

    def scored_keys(self, experiment_id: str) -> frozenset[str]:
        """Keys of all scores that the study asks for and that are there."""
        with self._reading() as connection:
            return scored_keys(connection, experiment_id)

    def named_ids(self, experiment_id: str) -> tuple[str, ...]:
        """Ids of all trials that the study names, ended or not."""
        with self._reading() as connection:
            return named_ids(connection, experiment_id)

    def identities(self) -> tuple[StoredIdentity, ...]:
        """Every complete trial, whichever studies name it, with all that it computes."""
        with self._reading() as connection:
            return identities(connection)

    def weights(self, weights_id: str) -> tuple[StoredWeights, ...]:
        """Trials that left the trained weights, the newest first."""
        with self._reading() as connection:
            return weights_of(connection, weights_id)

    def training(self, trial_id: str) -> KnownTraining:
        """The training of a trial that is complete."""
        with self._reading() as connection:
            return training_of(connection, trial_id)

    def unnamed_weights(self) -> tuple[UnnamedWeights, ...]:
        """Trials that left weights and that no study names, the oldest first."""
        with self._reading() as connection:
            return unnamed_weights(connection)

    def named_trials(self) -> frozenset[str]:
        """Ids of all trials that a study names, whether they have ended or not."""
        with self._reading() as connection:
            return named_trials(connection)

    def replies(self, asked: Sequence[str]) -> tuple[Reply, ...]:
        """What was replied to requests made of ``asked``, as in :class:`ScoreRequest`."""
        with self._reading() as connection:
            return replies_of(connection, asked)

    def answered_items(self, asked: str) -> frozenset[str]:
        """Ids of all items to which a reply is known of ``asked``, as in :class:`ScoreRequest`."""
        with self._reading() as connection:
            return answered_items(connection, asked)

    def test_readers(self, experiment_id: str, rows: Sequence[str]) -> dict[str, int]:
        """Other studies that tested an arm on some of the rows -> how many of the rows.

        Args:
            rows: hashes of rows, as a study's declaration has them.
        """
        with self._reading() as connection:
            return test_readers(connection, experiment_id, rows)

    def study(
        self, experiment_id: str, suite: SuiteKind | None = None, searched: str | None = None
    ) -> Study:
        """All that a report is made from, read at one moment.

        ``vectors`` and ``items`` hold complete trials only: ``vectors`` everything but the search
        outside the general suite; ``items`` the finalists' domain test with the primary metric,
        the first of the experiment's ``task.metrics``.

        Args:
            experiment_id: of a declared experiment.
            suite: only the vectors of this one, no items, and no steps of trials.
            searched: id of the only search trial to give; all if None.

        Raises:
            InputError: the store has no such experiment.
            StoreError: the experiment names no metric.
        """
        # Imported late: numbers need NumPy, which takes longer to load than most questions.
        from harness.store.vectors import item_rows_of, vectors_of

        with self._reading() as connection:
            experiment = experiment_by_id(connection, experiment_id)
            if experiment is None:
                raise InputError(f"no experiment has the id {experiment_id!r} in {self.path}")
            metric = "" if suite else _primary_metric(experiment)
            vectors = vectors_of(connection, experiment_id, suite, searched)
            return Study(
                experiment=experiment,
                trials=summaries_of(
                    connection, experiment_id, searched=searched, with_steps=suite is None
                ),
                vectors=vectors,
                items=item_rows_of(connection, experiment_id, metric, vectors) if metric else (),
                events=events_of(connection, experiment_id),
            )

    def query(self, sql: str, parameters: Parameters = ()) -> QueryResult:
        """Run one SELECT of the user's. It can reach the store's tables and views, nothing else.

        Args:
            parameters: values for ``?`` or ``$name``.

        Raises:
            InputError: not exactly one SELECT, or DuckDB refuses it; with DuckDB's message.
        """
        with self._reading(for_user=True) as connection:
            answer = _select(connection, sql, parameters)
            with _as_input_error():
                rows = answer.fetchall()
            columns = tuple(column[0] for column in answer.description or ())
            return QueryResult(columns, tuple(rows))

    def as_frame(self, sql: str, parameters: Parameters = ()) -> pd.DataFrame:
        """The answer to :meth:`query` as a pandas frame."""
        with self._reading(for_user=True) as connection:
            answer = _select(connection, sql, parameters)
            with _as_input_error():
                return answer.df()

    @contextmanager
    def _reading(self, *, for_user: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.path.is_file():
            raise InputError(
                f"there is no store at {self.path}; run an experiment first (`harness run`), or "
                "give the path of a store"
            )
        opened = reading_for_user if for_user else reading
        with opened(self.path, self._wait_seconds) as connection:
            require_version(connection)
            yield connection


def _select(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Parameters
) -> duckdb.DuckDBPyConnection:
    with _as_input_error():
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
            raise InputError(f"give exactly one SELECT; the store is only read. This is: {kinds}")
        values = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
        return connection.execute(statements[0], values)


@contextmanager
def _as_input_error() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise InputError(str(error)) from error
    except (OverflowError, ValueError) as error:
        # DuckDB has dates and spans of time that Python has not.
        raise InputError(f"a value of the answer cannot be shown ({error}); cast it") from error


def _primary_metric(experiment: ExperimentRecord) -> str:
    metrics = experiment.spec.get("task", {}).get("metrics") or ()
    if not metrics:
        raise StoreError(
            f"experiment {experiment.name} ({experiment.experiment_id}) names no metric under "
            "task.metrics, so no primary metric can be read; declare it again from its file"
        )
    return primary_name(metrics)
