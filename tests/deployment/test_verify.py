"""What is served or shipped is held against what was scored, and each culprit is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.cli import group
from harness.deployment.agreement import ReplyPair
from harness.deployment.explanation import culprits_of_weights
from harness.deployment.finalist import replies_of
from harness.deployment.forms import FORMS, loaded_form
from harness.deployment.server import Server
from harness.deployment.verification import Culprit, Verification
from harness.deployment.verify_endpoint import verify_endpoint
from harness.deployment.verify_folder import verify_folder, verify_form
from harness.errors import InputError
from harness.export import export_model
from harness.export.final_run import find_final_run
from harness.store import StoreReader
from harness.trial.candidate import candidate_of
from tests.fake_server import FakeServer, serving
from tests.tiny_model import CHATML, message

from .conftest import LearntStudy, RealStudy
from .model_server import Fault, chat_of

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with serving() as state:
        yield state


def asked(learnt: LearntStudy, server: FakeServer, fault: Fault = "", **more: Any) -> Verification:
    server.chat = chat_of(learnt.candidate, fault, **more)
    server.models = []
    return verify_endpoint(learnt.final, server.url, "little")


def names(found: Verification) -> list[tuple[str, bool]]:
    return [(culprit.name, culprit.explains) for culprit in found.culprits]


def test_the_model_as_it_was_scored_passes(learnt: LearntStudy, server: FakeServer) -> None:
    found = asked(learnt, server)
    assert found.sentence == "Every one of the 12 replies is the one that was scored."
    assert (found.passed, names(found)) == (True, [])
    replies = {pair.deployed for pair in found.agreement.pairs}
    assert replies == {"positive", "negative"}, "the tiny model has not learnt to answer"
    contrast = found.agreement.contrast
    assert contrast is not None
    assert (contrast.difference, contrast.margin) == (0.0, 0.3)
    assert contrast.interval.low < 0 < contrast.interval.high
    assert [(load.at_once, load.requests) for load in found.loads] == [(1, 4), (4, 4)]
    assert all(load.median > 0 and load.per_second > 0 for load in found.loads)


FOUND: list[tuple[Fault, str, str]] = [
    ("no system", "system prompt", "the prompts have no system message"),
    ("system in user", "system prompt", "the instruction at the head of the user's message"),
    ("BOS twice", "BOS twice", "the beginning of text twice"),
    ("BOS missing", "BOS missing", "leaves out what the tokenizer puts before every text"),
    ("other template", "template", "tokens there"),
    ("sampled", "sampling", "of 4 items got different replies when asked 3 times"),
    ("no stop", "stop tokens", "go on behind where the scored reply ended"),
    ("cut", "length", "reached a limit of tokens"),
    ("padded with space", "white space", "12 replies differ from the scored ones in white space"),
    ("other weights", "weights", "nats likelier than the server's"),
]


@pytest.mark.parametrize(("fault", "culprit", "words"), FOUND)
def test_each_culprit_is_named(
    learnt: LearntStudy, server: FakeServer, fault: Fault, culprit: str, words: str
) -> None:
    found = asked(learnt, server, fault)
    # What is drawn may end anywhere, too.
    first = found.culprits[0]
    assert (first.name, first.explains) == (culprit, True)
    assert words in first.found
    if fault != "sampled":
        assert len(found.culprits) == 1


def test_a_server_that_draws_unless_it_is_told_not_to_is_told_of(
    learnt: LearntStudy, server: FakeServer
) -> None:
    found = asked(learnt, server, "sampled by default")
    assert found.agreement.equal == 12
    assert names(found) == [("sampling", False)]
    assert "clients must send temperature 0" in found.culprits[0].found


def test_quantised_weights_behind_a_server_are_found_by_their_replies(
    learnt: LearntStudy,
) -> None:
    # Unlike what it learnt, so that fewer bits make a difference.
    items = [message(f"q{n}", f"{n * 7919} torn boxes, {n} sharp", "positive") for n in range(40)]
    mine = replies_of(learnt.candidate, items, lambda done, total: None)
    with loaded_form(learnt.final, "4-bit") as loaded:
        small = candidate_of(learnt.final.spec, loaded)
        theirs = replies_of(small, items, lambda done, total: None)
    pairs = [ReplyPair(*one) for one in zip(items, mine, theirs, strict=True)]
    apart = [pair for pair in pairs if not pair.equal]
    assert apart, "4 bits answer all as whole weights do"
    (culprit,) = culprits_of_weights(learnt.final, apart)
    assert culprit.name == "quantisation"
    assert "the winner's own weights in 4-bit give" in culprit.found


@pytest.mark.parametrize(
    ("listed", "culprit", "words"),
    [
        ([{"id": "little", "quantization": "Q4_K_M"}], "quantisation", "'Q4_K_M'"),
        ([{"id": "another"}], "model name", "to 'little' but does not list it; it lists another"),
        ([{"id": "little", "meta": {"n_params": 100}}], None, ""),
    ],
)
def test_a_server_s_list_of_models_is_read(
    learnt: LearntStudy,
    server: FakeServer,
    listed: list[dict[str, Any]],
    culprit: str | None,
    words: str,
) -> None:
    server.chat, server.models = chat_of(learnt.candidate), listed
    found = verify_endpoint(learnt.final, server.url, "little", limit=6)
    assert len(found.agreement.pairs) == 6
    assert [one.name for one in found.culprits] == ([culprit] if culprit else [])
    assert words in "".join(one.found for one in found.culprits)


def test_looks_and_results_are_in_the_store(learnt: LearntStudy, server: FakeServer) -> None:
    store = StoreReader(learnt.final.analysed.results / "harness.duckdb")
    identity = learnt.final.analysed.study.experiment.experiment_id
    before = store.events(identity)
    asked(learnt, server)
    look, result = store.events(identity)[len(before) :]
    assert (look.kind, result.kind) == ("test_access", "verified")
    assert look.detail["phase"] == "verify"
    assert look.detail["purpose"] == f"verification of little at {server.url}"
    assert look.detail["trial_id"] == learnt.final.trial.trial_id
    assert (result.detail["equal"], result.detail["passed"]) == (12, True)
    # It is the same run's replies: nothing was selected by a second look.
    rows = store.query("SELECT DISTINCT look FROM test_accesses WHERE arm = 'written'").rows
    assert rows == ((1,),)


def test_an_arm_that_chose_is_told_that_a_server_writes(
    study: RealStudy, server: FakeServer
) -> None:
    server.chat = lambda payload: ("I think it is good", "stop", 10)
    server.models = []
    final = find_final_run(study.run.store.parent, None, "chosen")
    found = verify_endpoint(final, server.url, "little", limit=4)
    culprits = {culprit.name: culprit.found for culprit in found.culprits}
    assert "4 of the 4 replies that differ hold no valid answer" in culprits["way of answering"]


def run_cli(learnt: LearntStudy, *options: str) -> Result:
    called = ["verify", "--results", str(learnt.final.analysed.results), "--arm", "written"]
    return CliRunner().invoke(group, [*called, *options])


def test_the_command_says_all_of_it(
    learnt: LearntStudy, server: FakeServer, tmp_path: Path
) -> None:
    server.chat, server.models = chat_of(learnt.candidate, "no system"), []
    out = tmp_path / "verified.json"
    done = run_cli(learnt, "--endpoint", server.url, "--model", "little", "--out", str(out))
    assert done.exit_code in (0, 1), done.output
    assert "system prompt: the prompts have no system message" in done.output
    assert "4 at once: requests a second" in done.output
    (read,) = json.loads(out.read_text())
    assert read["passed"] == (done.exit_code == 0)
    assert read["items"] == 12
    assert len(read["different"]) == 12 - read["equal"]
    server.chat = chat_of(learnt.candidate)
    done = run_cli(learnt, "--endpoint", server.url, "--model", "little")
    assert (done.exit_code, "Every one of the 12 replies" in done.output) == (0, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "say what to verify"),
        (["--endpoint", "http://localhost:1/v1"], "--endpoint needs --model"),
        (["--endpoint", "ftp://x", "--model", "m"], "write an address such as https://host/v1"),
        (["--folder", "nowhere"], "there is no such folder"),
        (["--endpoint", "http://127.0.0.1:9/v1", "--model", "m"], "no connection"),
    ],
)
def test_what_cannot_be_verified_is_an_error_of_input(
    learnt: LearntStudy, options: list[str], words: str
) -> None:
    done = run_cli(learnt, *options)
    error = done.exception
    assert words in done.output + str(error)
    assert done.exit_code == 2 or isinstance(error, InputError)


def test_plain_text_and_servers_models_are_refused(study: RealStudy) -> None:
    plain = find_final_run(study.run.store.parent, None, "plain")
    with pytest.raises(InputError, match="asked in plain text"):
        verify_endpoint(plain, "http://localhost:1/v1", "m")
    hosted = find_final_run(study.run.store.parent, None, "hosted")
    with pytest.raises(InputError, match="no folder holds it"):
        verify_form(hosted, "8-bit")


# ------------------------------------------------------------------------------------- folders


def test_what_was_exported_passes(learnt: LearntStudy, merged: Path, tmp_path: Path) -> None:
    found = verify_folder(learnt.final, merged)
    assert (found.agreement.equal, names(found)) == (12, [])
    assert found.megabytes is not None
    assert found.megabytes > 0.05
    assert [load.at_once for load in found.loads] == [1, 4]
    export_model(learnt.final.analysed.results, None, tmp_path / "a", arm="written", items=0)
    found = verify_folder(learnt.final, tmp_path / "a")
    assert (found.agreement.equal, names(found)) == (12, [])


def altered(merged: Path, place: Path, fault: str) -> Path:
    """A copy of the exported folder with one thing wrong."""
    shutil.copytree(merged, place)

    def change(name: str, **values: Any) -> None:
        path = place / name
        read = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({**read, **values}))

    template = place / "chat_template.jinja"
    if fault == "template":
        template.write_text(CHATML.replace("<|im_start|>{{", "<|im_start|> {{"))
    elif fault == "system prompt":
        written = "{% for m in messages %}{% if m['role'] != 'system' %}"
        text = CHATML.replace("{% for m in messages %}", written)
        template.write_text(text.replace("{% endfor %}", "{% endif %}{% endfor %}"))
    elif fault == "BOS twice":
        template.write_text("{{ bos_token }}" + CHATML)
    elif fault == "sampling":
        change("generation_config.json", do_sample=True, temperature=0.7, top_p=0.9)
    elif fault == "stop tokens":
        change("generation_config.json", eos_token_id=[0])
    elif fault == "length":
        change("generation_config.json", max_new_tokens=1)
    return place


@pytest.mark.parametrize(
    ("fault", "explains", "words"),
    [
        ("template", True, "writes 12 of 12 prompts otherwise"),
        ("system prompt", True, "writes no system message"),
        ("BOS twice", False, "begins it with two"),
        ("sampling", False, "do_sample True, temperature 0.7, top_p 0.9"),
        ("stop tokens", False, "ends replies at the tokens 0"),
        ("length", False, "ends replies after 1 tokens, and scored ones could have 8"),
    ],
)
def test_each_culprit_of_a_folder_is_named(
    learnt: LearntStudy, merged: Path, tmp_path: Path, fault: str, explains: bool, words: str
) -> None:
    found = verify_folder(learnt.final, altered(merged, tmp_path / "out", fault))
    assert (fault, explains) in names(found)
    assert words in " ".join(culprit.found for culprit in found.culprits)
    if not explains:
        # Prompts and decoding are the study's own here, which leaves the replies as they were.
        assert (found.agreement.equal, len(found.culprits)) == (12, 1)


def test_another_arm_s_weights_are_told(learnt: LearntStudy, merged: Path, tmp_path: Path) -> None:
    place = tmp_path / "base"
    shutil.copytree(merged, place)
    shutil.copyfile(learnt.folder / "model" / "model.safetensors", place / "model.safetensors")
    found = verify_folder(learnt.final, place)
    assert found.agreement.equal == 0
    assert names(found)[-1][0] in ("weights", "stop tokens")


def test_forms_are_measured(learnt: LearntStudy) -> None:
    found = {form: verify_form(learnt.final, form) for form in FORMS}
    assert found["float32"].agreement.equal == 12
    assert names(found["8-bit"]) == [("quantisation", True)]
    assert ("number format", True) in names(found["bfloat16"])
    sizes = {form: one.megabytes or 0.0 for form, one in found.items()}
    assert sizes["4-bit"] < sizes["8-bit"] < sizes["float32"]
    done = run_cli(learnt, "--form", "float32", "--form", "8-bit", "--items", "4")
    assert done.exit_code in (0, 1), done.output
    assert "Forms of the same weights" in done.output


def test_a_folder_that_is_quantised_says_so(learnt: LearntStudy, tmp_path: Path) -> None:
    with loaded_form(learnt.final, "8-bit") as loaded:
        loaded.model.save_pretrained(tmp_path / "out")
        loaded.tokenizer.save_pretrained(tmp_path / "out")
    found = verify_folder(learnt.final, tmp_path / "out")
    assert names(found)[0] == ("quantisation", True)
    assert "bitsandbytes 8 bits" in found.culprits[0].found


def test_what_was_compared_is_kept_where_more_cannot_be_asked(
    learnt: LearntStudy, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> Iterator[Culprit]:
        raise InputError("the server is gone")

    monkeypatch.setattr(Server, "manners", fails)
    found = asked(learnt, server)
    assert (found.agreement.equal, names(found)) == (12, [("sampling", False)])
    assert "was not found out: the server is gone" in found.culprits[0].found
