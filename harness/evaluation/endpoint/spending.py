"""What requests to a server may cost and did cost: a ledger with a cap that no crash can pass.

Before a request is sent, its worst case is reserved in the ledger; once its reply is there, the
reservation is settled at what the server counted. A reservation that is never settled, because
the process died or the connection broke, counts in full for ever. So money spent is at most what
the ledger holds, and the ledger never holds more than the cap.

The ledger is a file of JSON lines that is only appended to, one line a reservation and one a
settlement. Processes that share it take turns by a lock beside it. A reservation is on disk before
its request is sent, so a line that a dying process left torn stands for a request never sent.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import TrialError
from harness.records import Endpoint
from harness.wording import money

# Amounts are rounded up to this, so that their sum is exact.
UNIT = Decimal("1e-12")
LOCK_SECONDS = 60.0
# A slot further ahead than this comes from a clock that was set back, not from a queue.
FURTHEST_SLOT = 3600.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room in the ledger for one request."""

    identity: str
    """Name of the reservation in the ledger."""
    at: float
    """Unix time before which it is not to be sent."""
    amount: Decimal
    """Money that is reserved, the most that the request can cost."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A reservation that is not settled."""

    amount: Decimal
    """Money that is reserved."""
    factor: Decimal
    """Factor by which it was raised; see :class:`_Read`."""
    mine: bool
    """It is of this trial."""


@dataclass(slots=True)
class _Read:
    """What the lines so far add up to."""

    offset: int = 0
    """Bytes read so far."""
    place: tuple[int, ...] = ()
    """Device and number of the file that they were read from; empty before."""
    committed: Decimal = Decimal(0)
    """Money of settled requests and of reservations not settled."""
    mine: Decimal = Decimal(0)
    """The part of ``committed`` that is this trial's."""
    excess: Decimal = Decimal(1)
    """How many times its price a request cost at most, at least 1."""
    last: float = 0.0
    """The latest slot that was given, Unix time."""
    open: dict[str, _Open] = field(default_factory=dict)
    """Name of a reservation that is not settled -> the reservation."""


class Ledger:
    """The ledger of one endpoint, shared by threads and processes.

    It also keeps their common rate: requests get slots at least a minute divided by
    ``requests_per_minute`` apart. Every method raises TrialError, of kind ``ledger``, if a line
    cannot be read or the file stays locked.
    """

    def __init__(self, endpoint: Endpoint, trial_id: str) -> None:
        self._endpoint = endpoint
        self._trial_id = trial_id
        self._path = Path(endpoint.ledger)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{self._path}.lock", timeout=LOCK_SECONDS)
        self._threads = threading.Lock()
        self._read = _Read()

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> Reservation:
        """Reserve the price of at most so many tokens, and a slot to send the request in.

        Where replies cost more than was reserved for them, as of a server that does not keep
        ``max_tokens``, later reservations are larger in that proportion.

        Raises:
            TrialError: kind ``spending_cap``, if this could pass the cap; nothing is reserved.
        """
        price = price_of(self._endpoint, prompt_tokens, completion_tokens)
        with self._turn():
            amount = _rounded(price * self._read.excess)
            self._check(amount)
            now = time.time()
            slot = now
            rate = self._endpoint.requests_per_minute
            if rate is not None and self._read.last < now + FURTHEST_SLOT:
                slot = max(now, self._read.last + 60.0 / rate)
            reservation = Reservation(uuid.uuid4().hex, slot, amount)
            self._append(
                {
                    "line": "reserved",
                    "id": reservation.identity,
                    "at": slot,
                    "trial": self._trial_id,
                    "amount": str(amount),
                    "factor": str(self._read.excess),
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": completion_tokens,
                },
                durable=True,
            )
        return reservation

    def settle(self, reservation: Reservation, prompt_tokens: int, completion_tokens: int) -> None:
        """Note what the server counted for a request."""
        amount = _rounded(price_of(self._endpoint, prompt_tokens, completion_tokens))
        self._settle(reservation, amount, prompt_tokens, completion_tokens)

    def release(self, reservation: Reservation) -> None:
        """Note that a request was not sent, or was refused."""
        self._settle(reservation, Decimal(0), 0, 0)

    def committed(self) -> Decimal:
        """Money spent or still reserved, by all trials that share the ledger."""
        with self._turn():
            return self._read.committed

    def of_trial(self) -> Decimal:
        """The part of :meth:`committed` that this trial spent or reserved, in all its attempts."""
        with self._turn():
            return self._read.mine

    def _settle(self, reservation: Reservation, amount: Decimal, prompt: int, reply: int) -> None:
        with self._turn():
            if reservation.identity not in self._read.open:
                # The file was moved, or put back from a copy, while the request was under way.
                self._append(
                    {
                        "line": "reserved",
                        "id": reservation.identity,
                        "at": reservation.at,
                        "trial": self._trial_id,
                        "amount": str(reservation.amount),
                        "factor": "1",
                        "prompt_tokens": prompt,
                        "completion_tokens": reply,
                    },
                    durable=False,
                )
            self._append(
                {
                    "line": "settled",
                    "id": reservation.identity,
                    "amount": str(amount),
                    "prompt_tokens": prompt,
                    "completion_tokens": reply,
                },
                durable=False,
            )

    def _check(self, amount: Decimal) -> None:
        cap = self._endpoint.spending_cap
        if cap is None or self._read.committed + amount <= Decimal(str(cap)):
            return
        currency = self._endpoint.currency
        unknown = sum((reservation.amount for reservation in self._read.open.values()), Decimal(0))
        kept = (
            f", {money(unknown)} of it reserved by {len(self._read.open)} requests whose reply "
            "is not known"
            if unknown
            else ""
        )
        raise TrialError(
            "spending_cap",
            f"nothing more is sent to {self._endpoint.url}: "
            f"{money(self._read.committed, currency)} of the cap of {money(cap, currency)} are "
            f"spent{kept}, and the next request could cost {money(amount, currency)}. Raise "
            "spending_cap of this arm and run again with --retry-failed; "
            f"every request is noted in {self._path}",
        )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The time in which one thread of one process reads and writes."""
        with self._threads:
            try:
                self._lock.acquire()
            except Timeout:
                raise TrialError(
                    "ledger", f"{self._path} stayed locked for {LOCK_SECONDS:g} s"
                ) from None
            try:
                self._catch_up()
                yield
            finally:
                self._lock.release()

    def _catch_up(self) -> None:
        """Read what others appended since; cut off what a dying process left torn."""
        if not self._path.exists():
            self._read = _Read()
            return
        with self._path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            here = os.fstat(file.fileno())
            place = (here.st_dev, here.st_ino)
            if size < self._read.offset or self._read.place not in ((), place):
                self._read = _Read()
            self._read.place = place
            file.seek(self._read.offset)
            new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            if len(whole) < len(new):
                # Under the lock nobody is writing, so the writer of a torn line is dead.
                file.truncate(self._read.offset + len(whole))
        for line in whole.splitlines(keepends=True):
            self._take_in(line)
            self._read.offset += len(line)

    def _append(self, line: dict[str, Any], *, durable: bool) -> None:
        text = json.dumps(line).encode() + b"\n"
        with self._path.open("ab") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        self._take_in(text)
        self._read.offset += len(text)

    def _take_in(self, text: bytes) -> None:
        read = self._read
        try:
            line = json.loads(text)
            identity, amount = str(line["id"]), Decimal(line["amount"])
            if line["line"] == "reserved":
                mine = line["trial"] == self._trial_id
                read.open[identity] = _Open(amount, Decimal(line["factor"]), mine)
                read.last = max(read.last, float(line["at"]))
                change = amount
            else:
                reserved = read.open.pop(identity)
                mine, change = reserved.mine, amount - reserved.amount
                if change > 0 and reserved.amount:
                    seen = amount / reserved.amount * reserved.factor
                    read.excess = max(read.excess, seen)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise TrialError(
                "ledger",
                f"{self._path} holds a line that cannot be read ({text[:80]!r}), so what was "
                "spent is not known and nothing is sent; restore the file, or move it away if "
                "the money it stands for may be spent again",
            ) from error
        read.committed += change
        read.mine += change if mine else 0


def price_of(endpoint: Endpoint, prompt_tokens: int, completion_tokens: int) -> Decimal:
    """Price of so many tokens, in the endpoint's currency."""
    prompt, completion = (
        Decimal(str(price)) for price in (endpoint.prompt_price, endpoint.completion_price)
    )
    return (prompt * prompt_tokens + completion * completion_tokens) / 1_000_000


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(UNIT, rounding=ROUND_CEILING)
