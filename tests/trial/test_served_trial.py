"""Trials that ask a server: prompts, tokens, money, early stopping and failures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pydantic import TypeAdapter

import harness.evaluation.endpoint.chat_client as client_module
from harness.data.examples_file import write_examples
from harness.records import (
    Example,
    Progress,
    Pruning,
    ScoreRequest,
    TrialCurve,
    TrialRecord,
    TrialSpec,
    to_json,
    to_plain,
)
from harness.spec.arms import Arm
from harness.trial import run_trial
from tests.fake_server import Answer, FakeServer, endpoint, serving, written
from tests.tiny_model import TASK, messages, resolved, runtime

# Of "Message: The parcel 80 was great".
WORDS = 6
KEY = "sk-very/secret+0123&456789"
MakeSpec = Callable[..., TrialSpec]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """Knows the right answer to every message, and counts a token a word."""
    with serving() as state:
        state.reply = lambda message: "positive" if "great" in message else "negative"
        state.usage = lambda payload, reply: (
            sum(len(m["content"].split()) for m in payload["messages"]),
            len(reply.split()),
        )
        yield state


@pytest.fixture
def make_spec(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSpec:
    """A trial of the server; ``asked`` changes its endpoint, ``params`` go to its arm."""
    monkeypatch.setattr(client_module, "FIRST_WAIT", 0.005)
    sets = {"train": (8, 0), "validation": (40, 20), "test": (12, 80)}
    for name, (count, start) in sets.items():
        write_examples(tmp_path / f"{name}.parquet", messages(count, start))

    def make(
        splits: tuple[str, ...] = ("validation", "test"),
        asked: dict[str, Any] | None = None,
        **params: Any,
    ) -> TrialSpec:
        arm = TypeAdapter[Any](Arm).validate_python({"kind": "prompt", **params})
        scores = tuple(
            ScoreRequest(
                split, "domain", "domain", split, items_path=str(tmp_path / f"{split}.parquet")
            )
            for split in splits
        )
        return TrialSpec(
            trial_id="served",
            experiment_id="tiny",
            arm="asked",
            kind="prompt",
            phase="search",
            number=0,
            seed=0,
            params=to_plain(arm.resolve({})),
            model=resolved(tmp_path / "nothing-here"),
            task=TASK.model_dump(mode="json", by_alias=True),
            train_path=str(tmp_path / "train.parquet"),
            scores=scores,
            runtime=runtime(),
            endpoint=endpoint(server.url, tmp_path / "spending" / "asked.jsonl", **(asked or {})),
        )

    return make


def timed(spec: TrialSpec) -> TrialSpec:
    """The trial that times requests of the same setting."""
    (request,) = spec.scores
    return replace(spec, phase="latency", scores=(replace(request, suite="latency"),))


def done(record: TrialRecord) -> TrialRecord:
    assert (record.status, record.failure_message) == ("complete", "")
    return record


def test_a_server_is_scored_as_a_model_here_is(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    server.slow = 0.02
    record = done(run_trial(make_spec(shots=2), tmp_path / "trial", seen.append))
    test = record.scores[1]
    assert [score.form for score in record.scores] == ["endpoint"] * 2
    assert [len(score.outputs) for score in record.scores] == [40, 12]
    assert test.aggregates["exact_match"] == 1.0
    assert {one.output for one in test.outputs} == {"positive", "negative"}
    assert all(one.output == one.target for one in test.outputs)
    assert {score.latencies for score in record.scores} == {()}
    assert record.canaries is None
    cost = record.cost
    assert cost is not None
    assert cost.score_seconds > 0
    assert (cost.total_parameters, cost.peak_memory_mib, cost.load_seconds) == (0, 0, 0)
    assert {p.stage for p in seen} == {"score"}
    assert max(p.done for p in seen) == 40
    assert record.environment["endpoint"] == f"little at {server.url}"
    assert record.environment["endpoint_answered_as"] == "little-2026"
    assert len(server.seen) == 40 + 12
    assert 1 < server.most <= 4
    # Connections are kept: setting one up is no part of a request's time.
    assert len({seen.client for seen in server.seen}) <= 4


def test_the_chat_is_the_shared_renderers(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(("test",), shots=1, selection="fixed", instruction="Judge.")
    done(run_trial(spec, tmp_path / "trial"))
    payload = next(s.payload for s in server.seen if "parcel 81 " in str(s.payload["messages"]))
    assert payload == {
        "model": "little",
        "messages": [
            {"role": "system", "content": "Judge."},
            {"role": "user", "content": "Message: The parcel 0 was great"},
            {"role": "assistant", "content": "positive"},
            {"role": "user", "content": "Message: The parcel 81 was late"},
        ],
        "max_tokens": len("negative") + 12,
        "temperature": 0,
        "seed": 0,
    }


def test_tokens_are_the_servers_own(make_spec: MakeSpec, tmp_path: Path) -> None:
    (score,) = done(run_trial(make_spec(("test",)), tmp_path)).scores
    counted = len(TASK.instruction.split()) + WORDS
    assert {(one.prompt_tokens, one.completion_tokens) for one in score.outputs} == {(counted, 1)}


@pytest.mark.parametrize("counted", [0, 30])
def test_where_the_server_does_not_count_all_replies_no_mean_is_made_up(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path, counted: int
) -> None:
    uncounted = {"choices": [{"index": 0, "message": {"content": "positive"}}]}
    server.script = [Answer() for _ in range(counted)]
    server.script += [Answer(body=json.dumps(uncounted)) for _ in range(40 - counted)]
    record = done(run_trial(make_spec(("validation",)), tmp_path))
    assert {(o.prompt_tokens, o.completion_tokens) for o in record.scores[0].outputs} == {(0, 0)}
    told = f"counted no tokens for {40 - counted} of 40 replies"
    assert told in record.environment["endpoint_tokens"]


def test_known_scores_are_not_paid_again(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = replace(make_spec(), known_scores=("test", "validation"))
    assert done(run_trial(spec, tmp_path)).scores == ()
    assert server.seen == []


def test_waiting_is_no_part_of_latency(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    server.script = [Answer(429)] * 3
    spec = timed(make_spec(("test",), asked={"requests_per_minute": 600.0}))
    began = time.monotonic()
    (score,) = done(run_trial(spec, tmp_path)).scores
    # 9 single requests measure latency; the first is not counted.
    assert len(score.latencies) == 12
    assert time.monotonic() - began > 9 * 0.1
    # A busy machine may be slow once; waiting would be in most of them.
    assert median(score.latencies) < 0.1
    at = sorted(seen.at for seen in server.seen)
    assert at[-1] - at[0] > 0.1 * (len(at) - 1) - 0.05


def test_concurrency_is_kept(server: FakeServer, make_spec: MakeSpec, tmp_path: Path) -> None:
    server.slow = 0.02
    done(run_trial(make_spec(("validation",), asked={"concurrency": 2}), tmp_path))
    assert server.most == 2


def test_what_a_server_does_not_take_is_left_out_and_noted(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    words = ("Unknown field: seed", "'max_tokens' is not supported, use 'max_completion_tokens'",
             "System role not supported")  # fmt: skip
    server.script = [Answer(400, body=json.dumps({"error": {"message": w}})) for w in words]
    spec = make_spec(("test",), asked={"concurrency": 1})
    record = done(run_trial(spec, tmp_path))
    assert record.environment["endpoint_conceded"] == "max_tokens, seed, system"
    payload = server.seen[-1].payload
    assert payload.keys() == {"model", "messages", "max_completion_tokens", "temperature"}
    (message,) = payload["messages"]
    assert message["role"] == "user"
    assert message["content"].startswith(f"{TASK.instruction}\n\nMessage: ")


def test_a_template_that_fails_on_a_system_message(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    server.script = [Answer(500, body="Internal Server Error")] * 2
    spec = make_spec(("test",), asked={"concurrency": 1, "retries": 1})
    assert done(run_trial(spec, tmp_path)).environment["endpoint_conceded"] == "system"
    server.script = [Answer(500, body="Internal Server Error")] * 9
    record = run_trial(spec, tmp_path)
    assert record.failure_kind == "endpoint"
    assert "status 500: Internal Server Error" in record.failure_message


# --------------------------------------------------------------------------- failures


def test_one_failure_ends_the_trial_and_what_is_under_way_is_paid(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    server.script = [Answer(), Answer(401, body="no")]
    server.slow = 0.02
    record = run_trial(make_spec(("validation",)), tmp_path)
    assert (record.status, record.failure_kind, record.scores) == ("failed", "endpoint", ())
    assert len(server.seen) < 12
    found = ledger_lines(tmp_path)
    reserved, settled = ([x["id"] for x in found if x["line"] == kind] for kind in LINES)
    assert sorted(reserved) == sorted(settled)
    assert len(reserved) >= len(server.seen)
    assert record.cost is not None
    assert record.cost.score_seconds > 0


def test_a_second_attempt_pays_only_for_what_the_first_did_not_get(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    server.script = [Answer() for _ in range(25)] + [Answer(401)] * 9
    server.finish = "length"
    spec = make_spec(("validation",), asked={"concurrency": 1})
    assert run_trial(spec, tmp_path).status == "failed"
    (kept,) = (tmp_path / "spending" / "asked").glob("*.jsonl")
    # The process died while it wrote.
    kept.write_text(kept.read_text()[:-20])
    server.script.clear()
    before = len(server.seen)
    other = replace(spec, trial_id="another", scores=spec.scores[:1])
    first = done(run_trial(other, tmp_path))
    assert len(server.seen) - before == 40
    second = done(run_trial(spec, tmp_path))
    assert len(server.seen) - before == 40 + 16
    assert second.scores[0].outputs == first.scores[0].outputs
    assert second.environment["endpoint_kept"] == "24 replies are an earlier attempt's"
    assert second.environment["endpoint_cut"] == "40 of 40 replies reached their limit"
    assert "endpoint_kept" not in first.environment
    assert list((tmp_path / "spending" / "asked").iterdir()) == []


def test_kept_replies_do_not_stand_for_latency_or_for_another_request(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = timed(make_spec(("test",), asked={"concurrency": 1}))
    server.script = [Answer() for _ in range(3)] + [Answer(401)] * 9
    assert run_trial(spec, tmp_path).status == "failed"
    server.script.clear()
    before = len(server.seen)
    assert len(done(run_trial(spec, tmp_path)).scores[0].latencies) == 12
    assert len(server.seen) - before == 13
    spec = make_spec(("test",), asked={"concurrency": 1})
    server.script = [Answer(), Answer(), Answer(401)]
    assert run_trial(spec, tmp_path).status == "failed"
    before = len(server.seen)
    server.script.clear()
    assert spec.endpoint is not None
    larger = replace(spec, endpoint=replace(spec.endpoint, model="larger"))
    done(run_trial(larger, tmp_path))
    assert len(server.seen) - before == 12


LINES = ("reserved", "settled")


def ledger_lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "spending" / "asked.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


PRICED = {"prompt_price": 1e6, "completion_price": 1e6}


def test_the_cap_ends_trials_and_a_higher_one_lets_them_go_on(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    """A token costs one; a request reserves hundreds and costs 13, so that one fits at a time."""
    spec = make_spec(("validation",), asked={**PRICED, "spending_cap": 600.0})
    record = run_trial(spec, tmp_path)
    assert record.failure_kind == "spending_cap"
    assert "of the cap of 600.00 EUR" in record.failure_message
    sent = len(server.seen)
    assert sent > 5
    assert server.most == 1
    assert record.environment["endpoint_spent"] == f"{13 * sent}.000000000000 EUR"
    again = run_trial(replace(spec, trial_id="another"), tmp_path)
    assert again.failure_kind == "spending_cap"
    assert len(server.seen) == sent
    assert spec.endpoint is not None
    rich = replace(spec, endpoint=replace(spec.endpoint, spending_cap=2000.0))
    server.slow = 0.01
    done(run_trial(rich, tmp_path))
    assert server.most > 1


def test_without_its_key_nothing_is_sent(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERVED_KEY", raising=False)
    record = run_trial(make_spec(asked={"key_variable": "SERVED_KEY"}), tmp_path)
    assert record.failure_kind == "key"
    assert "set the environment variable SERVED_KEY" in record.failure_message
    assert server.seen == []


@pytest.mark.parametrize("status", [200, 307, 401, 403, 404, 418, 429, 500])
def test_no_record_holds_the_key(
    server: FakeServer,
    make_spec: MakeSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    status: int,
) -> None:
    monkeypatch.setenv("SERVED_KEY", KEY)
    said = " and ".join(written(KEY))
    server.reply = lambda message: f"positive {said}"
    if status != 200:
        headers = {"Location": f"http://127.0.0.1:9/{said}"}
        bodies = (said, json.dumps({"error": {"message": said}}), f"<html>{said}</html>")
        server.script = [Answer(status, body=body, headers=headers) for body in bodies * 30]
    with caplog.at_level("DEBUG"):
        record = run_trial(make_spec(("test",), asked={"key_variable": "SERVED_KEY"}), tmp_path)
    assert {s.headers["Authorization"] for s in server.seen} == {f"Bearer {KEY}"}
    assert record.status == ("complete" if status == 200 else "failed")
    assert "[key]" in to_json(record)
    output = capfd.readouterr()
    files = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    for text in (to_json(record), caplog.text, output.out, output.err, *files):
        assert not any(form in text for form in (*written(KEY), KEY[:16]))


# --------------------------------------------------------------------------- early stopping


def test_a_hopeless_prompt_is_stopped_and_saves_requests(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    best = TrialCurve(0, "complete", 1.0, tuple((place, 1.0) for place in range(40)))
    spec = make_spec(("validation",))
    spec = replace(
        spec,
        pruning=Pruning("wilcoxon", (best,), level=0.05, least_items=8),
        scores=tuple(replace(one, wave=4) for one in spec.scores),
    )
    server.reply = lambda message: "neither"
    record = run_trial(spec, tmp_path)
    assert record.status == "pruned"
    stopped = record.stopped
    assert stopped is not None
    assert (stopped.unit, stopped.total, stopped.value, stopped.against) == ("items", 40, 0, 1)
    assert len(server.seen) == stopped.done < 40
    asked = len(TASK.instruction.split()) + WORDS
    assert stopped.tokens == stopped.done * (asked + 1)
    assert record.environment["endpoint_answered_as"] == "little-2026"
    server.reply = lambda message: "positive" if "great" in message else "negative"
    assert done(run_trial(spec, tmp_path)).scores[0].aggregates["exact_match"] == 1.0


def test_a_server_s_chat_template_is_told(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(("test",), {"chat_template_args": {"enable_thinking": False}})
    record = done(run_trial(spec, tmp_path / "told"))
    assert all(
        seen.payload["chat_template_kwargs"] == {"enable_thinking": False} for seen in server.seen
    )
    assert '{"enable_thinking": false}' in record.environment["endpoint"]
    server.seen.clear()
    done(run_trial(make_spec(("test",)), tmp_path / "untold"))
    assert not any("chat_template_kwargs" in seen.payload for seen in server.seen)


def test_a_server_that_takes_no_arguments_of_its_template_is_named(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(("test",), {"chat_template_args": {"enable_thinking": False}})
    server.script = [Answer(400, json.dumps({"error": {"message": "unknown parameter"}}))] * 40
    record = run_trial(spec, tmp_path / "refused")
    assert record.status == "failed"
    assert "leave endpoint.chat_template_args out" in record.failure_message


def test_a_conversation_is_sent_as_its_messages(
    server: FakeServer, make_spec: MakeSpec, tmp_path: Path
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "tide", "arguments": {"h": 3}}}
    said: tuple[dict[str, Any], ...] = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Ebb?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "low", "tool_call_id": "c1"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Is that great?"},
    )
    item = Example("t#2", {"text": "x"}, "positive", "t", 1, messages=said, conversation="t")
    path = tmp_path / "talks.parquet"
    write_examples(path, [item])
    spec = make_spec(("test",))
    spec = replace(spec, scores=(replace(spec.scores[0], items_path=str(path)),))
    record = done(run_trial(spec, tmp_path / "trial"))
    (seen,) = server.seen
    sent = json.loads(json.dumps(said))
    sent[0]["content"] = f"{TASK.instruction}\n\nBe brief."
    sent[2]["tool_calls"][0]["function"]["arguments"] = '{"h": 3}'
    assert seen.payload["messages"] == sent
    assert record.scores[0].aggregates["exact_match"] == 1.0
    assert record.scores[0].outputs[0].cluster == "t"
