"""Parts of the test and classes in a report: what is shown, and that nothing empty is."""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.arms.samples import gather_samples
from harness.analysis.whole_study import analyse
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
