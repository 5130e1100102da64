"""The README.md of an exported model: what it is, what the study found, what it is not."""

from __future__ import annotations

import json
import math
from pathlib import PurePath
from typing import TYPE_CHECKING

from harness import wording
from harness.answers.tools import listed_tools, telling_how, tools_of
from harness.export.base_model import licence_of, public_name, short_name
from harness.export.exported import Exported
from harness.export.parity_report import parity_blocks
from harness.records import Aggregate, TrialCost
from harness.report.document import Block, Bullets, Code, Column, Facts, Prose, Section, Table
from harness.report.formats.markdown import escape, section_to_markdown, verdict_to_markdown
from harness.report.naming import FOUR_BITS, metric_name
from harness.spec.kinds import kind_info
from harness.spec.settings import QuantisedSettings, settings_from
from harness.versions import __version__

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


# Parts of the report that speak of what the arms can do; none of them shows an item.
REPORTED = ("primary", "arms", "general", "out-of-domain", "overfitting")
LONGEST_PROMPT = 8000
FORMS = {
    "adapter": "adapter, to be loaded on its base",
    "full": "whole model, all weights trained",
    "merged": "adapter merged into its base: a whole model",
    "gguf": "whole model as a GGUF file",
}


def model_card(exported: Exported) -> str:
    """The card as Markdown, with the evaluation as metadata that model hubs read."""
    from huggingface_hub import ModelCard, ModelCardData

    run, base = exported.run, exported.base
    study = run.analysed.study.experiment
    data = ModelCardData(
        model_name=f"{study.name}-{run.trial.arm}",
        base_model=public_name(base) or None,
        license=licence_of(base),
        library_name={"adapter": "peft", "gguf": None}.get(exported.form, "transformers"),
        pipeline_tag="text-generation",
        tags=["harness", run.trial.kind],
        eval_results=_evaluation(exported),
    )
    view = run.analysed.view
    checked = parity_blocks(exported.parity)
    parts = [
        f"# {escape(wording.cell(f'{study.name}: {run.trial.arm}'))}",
        section_to_markdown(Section("what", "What this is", _what(exported))),
        section_to_markdown(Section("use", "How to use it", _use(exported))),
        section_to_markdown(Section("parity", "Is it what was scored?", checked)),
        verdict_to_markdown(view.verdict),
        *(section_to_markdown(part) for part in view.sections if part.key in REPORTED),
        section_to_markdown(Section("limits", "Limits", _limits(exported))),
        section_to_markdown(Section("made", "How it was made", _made(exported))),
    ]
    text = "\n\n".join(parts)
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n"))


def _evaluation(exported: Exported) -> list[EvalResult]:
    """The exported run's own scores on test, on data from elsewhere and on general tasks."""
    from huggingface_hub import EvalResult

    run = exported.run
    study = run.analysed.study.experiment
    suites = {"domain": "the study's own task", "out_of_domain": "data from elsewhere",
              "general": "general ability"}  # fmt: skip
    evaluations = []
    for aggregate in run.trial.aggregates:
        if (
            aggregate.suite not in suites
            or aggregate.split != "test"
            or not math.isfinite(aggregate.value)
        ):
            continue
        own = aggregate.suite == "domain"
        evaluations.append(
            EvalResult(
                task_type="text-generation",
                task_name=suites[aggregate.suite],
                dataset_type=_data_name(exported) if own else aggregate.task,
                dataset_name=_data_name(exported) if own else aggregate.task,
                dataset_split="test",
                dataset_revision=study.data.fingerprint if own else None,
                metric_type=aggregate.metric,
                metric_name=metric_name(aggregate.metric, run.analysed.experiment.task),
                metric_value=aggregate.value,
                metric_args=_interval(exported, aggregate) if own else {"items": aggregate.items},
            )
        )
    return evaluations


def _interval(exported: Exported, aggregate: Aggregate) -> dict[str, object]:
    """Items, and the arm's mean and interval over its seeds for the primary metric."""
    run = exported.run
    facts: dict[str, object] = {"items": aggregate.items}
    for row in run.analysed.findings.arms:
        if row.arm == run.trial.arm and row.test_interval and aggregate.metric == run.metric:
            facts |= {
                "mean_over_seeds": row.test,
                "seeds": list(row.seeds),
                "interval": [row.test_interval.low, row.test_interval.high],
                "level": row.test_interval.level,
            }
    return facts


def _data_name(exported: Exported) -> str:
    """The data set's name; of a file its own name only, as folders are nobody's business."""
    source = exported.run.analysed.study.experiment.data.source
    return wording.cell(PurePath(source).name)


def _what(exported: Exported) -> tuple[Block, ...]:
    run, base = exported.run, exported.base
    study = run.analysed.study.experiment
    where = f", revision {base.revision}" if base.revision else ", from no hub"
    facts = [
        ("Question", wording.cell(run.analysed.experiment.question or study.name, 300)),
        ("Trained", f"{kind_info(run.trial.kind).label}, arm {run.why}"),
        ("Form", FORMS[exported.form]),
        ("Number format", _number_format(exported)),
        ("Base", f"{short_name(base)}{where}"),
        ("Base fingerprint", base.fingerprint),
        ("Licence of the base", licence_of(base)),
        ("Experiment id", study.experiment_id),
        ("Trial id", run.trial.trial_id),
    ]
    return (Facts(tuple((name, wording.cell(value, 400)) for name, value in facts)),)


def _number_format(exported: Exported) -> str:
    settings = settings_from(exported.run.spec.params)
    if isinstance(settings, QuantisedSettings):
        bits = FOUR_BITS[settings.quantisation]
        if exported.form == "adapter":
            return f"adapter in float32, trained and scored on the base in {bits}"
        return (
            f"{exported.dtype}, merged into the base in {bits} after de-quantising it: that is "
            "what the adapter was trained and scored on; the original weights are not the same"
        )
    if exported.form == "adapter":
        return f"adapter in float32, trained and scored on the base in {exported.dtype}"
    return exported.dtype


def _use(exported: Exported) -> tuple[Block, ...]:
    task = exported.run.analysed.experiment.task
    settings = settings_from(exported.run.spec.params)
    template = settings.template or task.template
    instruction = task.instruction if settings.instruction is None else settings.instruction
    asked = {
        "generate": "Replies were generated greedily, without sampling.",
        "constrained": "Replies were generated greedily and kept to the valid answers.",
        "choice": "The likeliest of the valid answers was taken; nothing was generated freely.",
    }[settings.first_way]
    chat = "through the chat template" if settings.chat else "as plain text, without chat template"
    args = exported.run.spec.template_args
    if settings.chat and args:
        told = json.dumps(args, ensure_ascii=False)
        chat += f", which was told {told} (`chat_template_kwargs` where a server takes them)"
    shots = (
        f" Before each item come {settings.shots} worked examples out of the training data; "
        "`harness export prompt` writes them."
        if settings.shots
        else ""
    )
    this = "this instruction and this form of an item"
    if functions := task.answer.functions:
        # As the model was told it, with the tools that it may call.
        how = telling_how(instruction) if task.answer.extract is None else ""
        listed = listed_tools(tools_of(json.dumps(functions)).values())
        instruction = "\n\n".join(filter(None, (instruction, how, listed)))
        if settings.chat:
            chat += (
                " (one that writes tools in a form of its own was told them so, as by "
                "`apply_chat_template(..., tools=...)`, and the instruction did not list them; "
                "where it has a notation of calls, too, that was learnt)"
            )
    form = [Code("Instruction", wording.clean(instruction, LONGEST_PROMPT), folded=False)]
    if (talks := exported.run.analysed.experiment.data.conversations) is not None:
        which = "every answer" if talks.turns == "every" else "the last answer"
        which += " (scored: the last)" if talks.scores_last_of_every else ""
        told = "this instruction, before" if instruction else "no instruction but"
        this = (
            f"{which} of whole conversations as their messages, under {told} a conversation's own "
            "system message"
        )
        form = form if instruction else []
    else:
        shown = wording.clean(template, LONGEST_PROMPT)
        form.append(Code("Item, columns in braces", shown, folded=False))
    return (
        Code("Load it", _loading(exported), "sh" if exported.form == "gguf" else "python", False),
        Prose(
            f"It was trained and scored with {this}, {chat}; "
            f"another prompt is another model. {asked}{shots}"
        ),
        *form,
    )


def _loading(exported: Exported) -> str:
    settings = settings_from(exported.run.spec.params)
    dtype = exported.dtype
    if exported.form == "gguf":
        return "llama-server --model model.gguf --jinja"
    if exported.form in ("full", "merged"):
        return (
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            f'model = AutoModelForCausalLM.from_pretrained("FOLDER", dtype="{dtype}")\n'
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
        )
    lines = [
        "import torch",
        "from peft import AutoPeftModelForCausalLM",
        "from transformers import AutoTokenizer, BitsAndBytesConfig",
        "",
        f'extra = {{"dtype": torch.{dtype}}}',
    ]
    if isinstance(settings, QuantisedSettings):
        lines += [
            'extra["quantization_config"] = BitsAndBytesConfig(',
            "    load_in_4bit=True,",
            f'    bnb_4bit_quant_type="{settings.quantisation}",',
            f"    bnb_4bit_use_double_quant={settings.double_quantisation},",
            f"    bnb_4bit_compute_dtype=torch.{dtype},",
            ")",
        ]
    else:
        lines[2] = "from transformers import AutoTokenizer"
    lines += [
        'model = AutoPeftModelForCausalLM.from_pretrained("FOLDER", **extra)',
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
    ]
    return "\n".join(lines)


def _limits(exported: Exported) -> tuple[Block, ...]:
    run = exported.run
    seeds = len({t.seed for t in run.analysed.study.trials
                 if t.arm == run.trial.arm and t.phase == "finalist"})  # fmt: skip
    limits = [
        "Measured on one task and one data set; nothing here says how it does at another.",
        "What it does with requests that are not of the task was not looked at, beyond the general "
        "tasks above.",
        "Harmful content, bias and private data in its replies were not tested.",
    ]
    if seeds < 2:
        limits.append("One seed was trained: another run of the same setting may score otherwise.")
    if exported.form == "gguf":
        limits.append(
            "What was scored again are the merged weights that the GGUF file was converted from; "
            "the file itself was not."
        )
    if licence_of(exported.base) == "unknown":
        limits.append("The licence of the base is not known here: find it out before you share it.")
    return (Bullets("What this card does not say", tuple(limits)),)


def _made(exported: Exported) -> tuple[Block, ...]:
    run = exported.run
    study = run.analysed.study.experiment
    settings = tuple(
        (wording.cell(name, 60), wording.setting(value)) for name, value in run.spec.params.items()
    )
    splits = ", ".join(f"{wording.cell(k, 40)} {v:,}" for k, v in study.splits.items())
    facts = [
        ("Data", _data_name(exported)),
        ("Data fingerprint (SHA-256 over all splits)", study.data.fingerprint),
        ("Test items' fingerprint", study.data.test_fingerprint),
        ("Examples", splits or "-"),
        ("Leakage audit", ", ".join(f"{k} {v}" for k, v in study.data.audit.counts.items())),
        ("Steps", f"{len(run.trial.steps):,}"),
        ("Tokens trained on", _tokens(run.trial.cost)),
        ("Exported by", f"harness {__version__}"),
    ]  # fmt: skip
    versions = tuple(
        (wording.cell(name, 60), wording.cell(value)) for name, value in run.environment.items()
    )
    two = (Column("Name"), Column("Value"))
    return (
        Facts(tuple((name, wording.cell(value, 400)) for name, value in facts)),
        Table("Settings of training and prompt", two, settings),
        Table("Versions and machine of the training", two, versions),
    )


def _tokens(cost: TrialCost | None) -> str:
    if cost is None:
        return "-"
    return "not known" if cost.train_tokens is None else f"{cost.train_tokens:,}"


__all__ = ["model_card"]
