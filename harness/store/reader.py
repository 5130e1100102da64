"""The only way out of the store: named questions, and the user's own SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from harness.errors import InputError, StoreError
from harness.records import Event, ExperimentRecord, Study, TrialSummary
from harness.store.connection import WAIT_SECONDS, reading
from harness.store.experiments import all_experiments, events_of, experiment_by_id
from harness.store.migrations import require_version
from harness.store.search_scores import general_changes_of, item_values_of
from harness.store.summaries import summaries_of

if TYPE_CHECKING:
    import pandas as pd

Parameters = Sequence[Any] | Mapping[str, Any]


VIEWS = ("trials", "scores", "items", "finalists", "costs", "test_accesses")


@dataclass(frozen=True, slots=True)
class QueryResult:
    """An answer to SQL. columns: names, shape (m,). rows: n tuples of m values; NULL is None."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class StoreReader:
    """Reads one store. The file is open only inside each call, so a run can go on beside it.

    path: the DuckDB file. wait_seconds: how long a call waits for a process that is writing.

    Every method raises InputError if there is no store at ``path``, and StoreError if it stays
    busy, is damaged, or is of another version.
    """

    def __init__(self, path: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self.path = path
        self._wait_seconds = wait_seconds

    def experiments(self) -> tuple[ExperimentRecord, ...]:
        """Every experiment, the one declared last at the end."""
        with self._reading() as connection:
            return all_experiments(connection)

    def find(self, name_or_id_prefix: str) -> ExperimentRecord:
        """The experiment of that name (the one declared last), or whose id begins so.

        Raises:
            InputError: there is none, or several ids begin so; the message lists what exists.
        """
        stored = self.experiments()
        named = [one for one in stored if one.name == name_or_id_prefix]
        if named:
            return named[-1]
        begun = [one for one in stored if one.experiment_id.startswith(name_or_id_prefix)]
        if name_or_id_prefix and len(begun) == 1:
            return begun[0]
        known = ", ".join(f"{one.name} ({one.experiment_id[:12]})" for one in stored) or "none"
        rule = (
            "several experiments have ids that begin with" if begun else "no experiment is called"
        )
        raise InputError(
            f"{rule} {name_or_id_prefix!r} in {self.path}; give a name or more of an id. "
            f"Stored: {known}"
        )

    def trials(self, experiment_id: str, trial_id: str | None = None) -> tuple[TrialSummary, ...]:
        """Every trial of the experiment without its items, by arm, phase, number and seed.

        trial_id: only this one, if it is in the store.
        """
        with self._reading() as connection:
            return summaries_of(connection, experiment_id, trial_id)

    def events(self, experiment_id: str) -> tuple[Event, ...]:
        """What happened to the experiment, in order of recording."""
        with self._reading() as connection:
            return events_of(connection, experiment_id)

    def general_changes(self, experiment_id: str) -> dict[str, float]:
        """How the general abilities of each complete search trial compare with the base's.

        Trial id -> mean over the general tasks of the mean difference (0 to 1, negative is a
        loss) over the items that trial and base both answered, by each task's main metric, where
        that is an accuracy. Trials without such an item are absent.
        """
        with self._reading() as connection:
            return general_changes_of(connection, experiment_id)

    def item_values(self, trial_id: str, suite: str, split: str, metric: str) -> dict[str, float]:
        """Item id -> value of one metric of one trial; unscored items are absent."""
        with self._reading() as connection:
            return item_values_of(connection, trial_id, suite, split, metric)

    def study(self, experiment_id: str) -> Study:
        """All that a report is made from, read at one moment.

        ``vectors`` and ``items`` hold complete trials only: ``vectors`` everything but the search
        outside the general suite; ``items`` the finalists' domain test with the primary metric,
        the first of the experiment's ``task.metrics``.

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
            return Study(
                experiment=experiment,
                trials=summaries_of(connection, experiment_id),
                vectors=vectors_of(connection, experiment_id),
                items=item_rows_of(connection, experiment_id, _primary_metric(experiment)),
                events=events_of(connection, experiment_id),
            )

    def query(self, sql: str, parameters: Parameters = ()) -> QueryResult:
        """Run one SELECT of the user's. It can reach the store's tables and views, nothing else.

        parameters: values for ``?`` or ``$name``.

        Raises:
            InputError: not exactly one SELECT, or DuckDB refuses it; with DuckDB's message.
        """
        with self._reading() as connection:
            answer = _select(connection, sql, parameters)
            with _as_input_error():
                rows = answer.fetchall()
            columns = tuple(column[0] for column in answer.description or ())
            return QueryResult(columns, tuple(rows))

    def as_frame(self, sql: str, parameters: Parameters = ()) -> pd.DataFrame:
        """The same as :meth:`query`, as a pandas frame."""
        with self._reading() as connection:
            answer = _select(connection, sql, parameters)
            with _as_input_error():
                return answer.df()

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.path.is_file():
            raise InputError(
                f"there is no store at {self.path}; run an experiment first (`harness run`), or "
                "give the path of a store"
            )
        with reading(self.path, self._wait_seconds) as connection:
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
    return str(metrics[0])
