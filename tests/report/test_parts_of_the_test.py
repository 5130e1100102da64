"""Parts of the test and classes in a report: what is shown, and that nothing empty is."""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.arms.samples import gather_samples
from harness.analysis.whole_study import analyse
from harness.findings import ArmClasses, ClassScore, Confusion
from harness.records import Study
from harness.report import build_view, to_html, to_markdown
from harness.report.document import ReportView, Table
from harness.spec import Experiment
from tests.analysis.test_slices import winner_loses_by_phone

HOSTILE = "<script>alert(1)</script>"


def view_of(study: Study) -> ReportView:
    spec = Experiment.model_validate(study.experiment.spec)
    findings = analyse(study, resamples=200, sensitivity=False)
    return build_view(study, spec, findings, samples=gather_samples(study))


def tables(view: ReportView, section: str) -> dict[str, Table]:
    blocks = view.section(section).blocks
    return {block.caption: block for block in blocks if isinstance(block, Table)}


def test_every_part_is_a_row_with_its_reading() -> None:
    (table,) = tables(view_of(winner_loses_by_phone()), "slices").values()
    rows = {row[0]: row for row in table.rows}
    assert rows["channel: phone"][1:4] == ("30", "16.7 %", "100.0 %")
    assert rows["channel: phone"][-1] == "few-shot better"
    assert rows["channel: web"][-1] == "lora better"


def test_classes_have_a_row_each_and_a_matrix() -> None:
    study = winner_loses_by_phone()
    # Of item n the right answer is a where n is even; all replies are a.
    view = view_of(study)
    shown = tables(view, "classes")
    (scores,) = [table for caption, table in shown.items() if "by class" in caption]
    by_class = {row[0]: row for row in scores.rows}
    assert by_class["a"][:5] == ("a", "60", "100.0 %", "50.0 %", "66.7 %")
    assert by_class["b"][2:5] == ("0.0 %", "-", "0.0 %")
    (matrix,) = [table for caption, table in shown.items() if caption.startswith("Replies of lora")]
    assert matrix.rows == (("a", "60", "0"), ("b", "60", "0"))


def made_of_classes(arm: str, wrong: float) -> ArmClasses:
    """Ten classes of ten items; ``wrong`` of the last are taken for the first, of others none."""
    classes = [ClassScore("label", f"c{n}", 10, recall=1.0, precision=1.0) for n in range(9)]
    last = ClassScore("label", "c9", 10, recall=1 - wrong / 10, precision=1.0)
    mistakes = (Confusion("label", "c9", "c0", wrong, "test-0"),) if wrong else ()
    return ArmClasses(arm, (*classes, last), mistakes)


def test_of_many_classes_those_to_look_at_stand_first_and_all_in_the_appendix() -> None:
    study = winner_loses_by_phone()
    found = analyse(study, resamples=200, sensitivity=False)
    low = replace(made_of_classes("lora", 8.0).classes[4], recall=0.2)
    lora, few_shot = made_of_classes("lora", 8.0), made_of_classes("few-shot", 5.0)
    # A class on which both are alike, and bad.
    lora, few_shot = (
        replace(arm, classes=(*arm.classes[:4], low, *arm.classes[5:])) for arm in (lora, few_shot)
    )
    spec = Experiment.model_validate(study.experiment.spec)
    findings = replace(found, classes=(lora, few_shot))
    view = build_view(study, spec, findings, samples=gather_samples(study))
    blocks = [b for b in view.section("classes").blocks if isinstance(b, Table)]
    first, every, *matrices, mistakes = blocks
    assert [block.folded for block in blocks] == [False, True, True, True, False]
    assert len(first.rows) == 5 and len(every.rows) == 10 and len(matrices) == 2
    assert first.rows[0][0] == "c9" and "c4" in {row[0] for row in first.rows}
    assert first.notes[0].startswith("Those whose F1 differs most")
    assert first.notes[0].endswith("The appendix has all 10.")
    assert [column.heading for column in mistakes.columns] == [
        "Right class", "Taken for", "Items", "lora", "few-shot", "Such as",
    ]  # fmt: skip
    assert mistakes.rows == (("c9", "c0", "10", "8", "5", "text"),)


def test_of_many_parts_those_that_show_something_stand_first() -> None:
    study = winner_loses_by_phone()
    found = analyse(study, resamples=200, sensitivity=False)
    assert found.slicing is not None
    (phone,) = [part for part in found.slicing.slices if part.value == "phone"]
    open_part = replace(phone, contrast=replace(phone.contrast, outcome="inconclusive"))
    more = tuple(replace(open_part, value=f"v{n}") for n in range(9))
    spec = Experiment.model_validate(study.experiment.spec)
    for parts, shown in (((phone, *more), 1), (more, 0)):
        slicing = replace(found.slicing, slices=parts, validity=())
        view = build_view(study, spec, replace(found, slicing=slicing))
        tables = [b for b in view.section("slices").blocks if isinstance(b, Table)]
        assert [(len(t.rows), t.folded) for t in tables] == [
            *([(1, False)] if shown else []), (len(parts), True),
        ]  # fmt: skip


def test_what_has_no_content_has_no_section() -> None:
    study = replace(winner_loses_by_phone(), items=())
    data = replace(study.experiment.data, slices={})
    view = view_of(replace(study, experiment=replace(study.experiment, data=data)))
    assert not {"slices", "classes"} & {section.key for section in view.sections}


def test_values_of_columns_are_text() -> None:
    study = winner_loses_by_phone()
    phone, web = study.experiment.data.slices["channel"].values()
    data = replace(study.experiment.data, slices={HOSTILE: {HOSTILE: phone, "web|": web}})
    view = view_of(replace(study, experiment=replace(study.experiment, data=data)))
    assert HOSTILE not in to_html(view)
    assert HOSTILE not in to_markdown(view)
