"""report.html holds every run of the study, in full precision and in no way that a browser could take for code; what it
does in a browser is tested by the template that this project came from."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from labkit.reporting.analysis.answer import NOT_SUPPORTED, SHOWN, SUPPORTED
from labkit.reporting.analysis.checks import find_warnings
from labkit.reporting.analysis.findings import find
from labkit.reporting.analysis.names import Label
from labkit.reporting.analysis.study_file import read_study_file
from labkit.reporting.pages import page_curves
from labkit.reporting.pages.contents import Contents
from labkit.reporting.pages.html_page import write_page
from labkit.reporting.tables import make_tables
from labkit.reporting.tables.formats import Table
from labkit.runs.study import read_study
from run_folders import EPOCHS, STEPS_PER_EPOCH, add_plan, add_run, add_unfinished

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&amp;\n\u2028<!--data--> é 中 {x}\\{{ 7*7 }}{% raw %}{#"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="  # a picture
STUDY_FILE = {
    "question": "Does depth <help>?",
    "hypothesis": "Five hidden layers are better than two.",
    "formal_problem": "H0: a(net5) <= a(net2)\nH1: a(net5) > a(net2)",
    "metric": "validation/accuracy",
    "direction": "max",
    "baseline": {"model": "net2"},
    "comparisons": [{"model": "net5"}],
    "smallest_difference": 0.02,
    "alpha": 0.05,
    "seeds": [0, 1, 2, 3, 4],
}


class Elements(HTMLParser):
    """The elements of a page as a browser would find them, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data if self.cdata_elem is None else ""


def page_of(
    study: Path,
    about: dict[str, Any] | None = None,
    metric: str | None = None,
    tables: dict[str, Table] | None = None,
    labels: dict[str, Label] | None = None,
) -> str:
    """The page on the runs of the study; `about` is what its study file says, None where it has none."""
    folder = study.parents[1]
    if about:
        (folder / "depth.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    read, file = read_study(study), read_study_file(folder, "depth")
    findings = find(read, file, metric, "max" if metric else None, ["seed"], labels) if read.ended else None
    warnings = find_warnings(findings) if findings else read.warnings
    shown = make_tables(read, findings) if tables is None else tables
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "cost.png").write_bytes(base64.b64decode(PIXEL))
    write_page(folder, Contents(read, file, findings, shown, {"cost": "What it costs."}, [], warnings))
    return (folder / "report.html").read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    """What the script of the page reads; JavaScript knows no NaN."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def curves_of(data: dict[str, Any], metric: str = "validation/accuracy") -> list[list[float] | None]:
    """Of each run the values that its curve of a metric has, as the script unpacks them."""
    (packed,) = [one["values"] for one in data["metrics"] if one["name"] == metric]
    upper = np.frombuffer(base64.b64decode(packed), np.uint8).reshape(-1, 3)
    values = iter(np.pad(upper, ((0, 0), (1, 0))).view("<f4")[:, 0].tolist())
    return [None if at is None else [next(values) for _ in data["steps"][at]] for at in data["at"]]


def row_of(data: dict[str, Any], position: int) -> dict[str, Any]:
    return dict(zip(data["columns"], data["rows"][position], strict=True))


def test_every_member_of_the_study_is_in_the_list_with_its_status_and_the_reason(study: Path) -> None:
    names = [add_run(study, "net2", 0).name, add_unfinished(study, "failed", "net2", 1, reason="too hot").name]
    add_plan(study, {"name": "net9-digits-s0-0"}, {"name": "net9-digits-s1-0", "error": "no such model"})
    data = data_of(page_of(study))
    rows = [row_of(data, i) for i in range(4)]
    assert {row["run"]: (row["status"], row["reason"]) for row in rows} == {
        names[0]: ("finished", ""),
        names[1]: ("failed", "too hot"),
        "net9-digits-s0-0": ("missing", ""),
        "net9-digits-s1-0": ("refused", "no such model"),
    }
    assert [curve is not None for curve in curves_of(data)] == [row["status"] == "finished" for row in rows]


def test_settings_and_final_values_are_not_rounded(study: Path) -> None:
    for seed, rate in enumerate((0.001, 0.0010000001)):
        add_run(study, "net2", seed, 0.912345678901234, **{"optimizer.lr": rate})
    data = data_of(page_of(study))
    rows = [row_of(data, i) for i in range(2)]
    assert sorted(row["optimizer.lr"] for row in rows) == ["0.001", "0.0010000001"]
    assert {row["validation/accuracy"] for row in rows} == {0.912345678901234}
    assert [row["seed"] for row in rows] == [0, 1]


def test_names_stay_text(study: Path) -> None:
    for seed in range(2):
        add_run(study, HOSTILE, seed)
    page = page_of(study, STUDY_FILE | {"baseline": {"model": HOSTILE}, "comparisons": [{"model": "net5"}]})
    elements = Elements(page)
    assert [tag for tag, _ in elements.tags if tag in ("script", "img", "help")] == ["img", "script", "script"]
    assert "Does depth <help>?" in elements.text
    assert "H0: a(net5) <= a(net2)" in elements.text
    data = data_of(page)
    escaped = HOSTILE.replace("\n", "\\n").replace("\u2028", "\\u2028")
    assert row_of(data, 0)["model"] == escaped
    assert data["groups"] == [escaped]
    assert escaped in elements.text  # in the table of the settings


def test_the_policy_allows_nothing_but_the_style_and_the_script_of_the_page(study: Path) -> None:
    add_run(study)
    page = page_of(study)
    tags = Elements(page).tags
    (policy,) = [attributes["content"] for tag, attributes in tags if tag == "meta" and "http-equiv" in attributes]
    own = {tag: re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[0].encode() for tag in ("style", "script")}
    hashes = {tag: base64.b64encode(hashlib.sha256(text).digest()).decode() for tag, text in own.items()}
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    named = {name for _, attributes in tags for name in attributes}
    assert not named & {"srcset", "style", "onclick", "onload", "action"}
    links = [attributes["href"] for _, attributes in tags if "href" in attributes]
    assert links == ["#runs"]


def test_a_value_that_is_no_number_is_blank(study: Path) -> None:
    add_run(study, seed=0, accuracy=None)
    add_run(study, seed=1)
    data = data_of(page_of(study))
    lost = next(row for row in (row_of(data, i) for i in range(2)) if row["status"] == "diverged")
    assert lost["validation/accuracy"] is None
    drawn = [bool(np.isfinite(curve).any()) for curve in curves_of(data) if curve]
    assert sorted(drawn) == [False, True]  # without a number there is no curve


def test_curves_have_four_digits_and_share_their_steps(study: Path) -> None:
    for seed in range(3):
        add_run(study, seed=seed, accuracy=0.9 + seed / 81)
    longer = add_run(study, seed=3) / "metrics.csv"
    *rows, last = longer.read_text().splitlines()
    longer.write_text("\n".join([*rows, last, "108," + last.split(",", 1)[1]]) + "\n")
    data = data_of(page_of(study))
    steps = [STEPS_PER_EPOCH * epoch for epoch in range(1, EPOCHS + 1)]
    assert sorted(data["steps"]) == [steps, [*steps, 108]]
    assert sorted(data["epochs"]) == [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 5]]
    curves = {row_of(data, i)["seed"]: curve for i, curve in enumerate(curves_of(data))}
    assert curves[1] == pytest.approx([0.642346, 0.792346, 0.882346, 0.912346, 0.882346], rel=2e-5)
    assert (len(curves[3] or []), data["thinned"], data["left_out"]) == (6, 0, "")


def test_every_metric_but_those_of_test_can_be_drawn_and_that_of_the_report_comes_first(study: Path) -> None:
    add_run(study, test=0.9)
    others = ["validation/accuracy_class_0", "train/accuracy"]
    for metric, first in ((None, "validation/accuracy"), ("test/accuracy", "validation/accuracy"), *[(others[1],) * 2]):
        data = data_of(page_of(study, metric=metric))
        names = [one["name"] for one in data["metrics"]]
        assert names[0] == first
        assert sorted(names) == sorted({"validation/accuracy", "validation/loss", "train/loss", *others})
        assert (data["metric"], (metric or first) in data["columns"]) == (metric or first, True)


def test_metrics_that_do_not_fit_are_named_and_the_losses_come_before_others(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_curves, "MOST_KEPT", 3 * 2 * EPOCHS)
    monkeypatch.setattr(page_curves, "NAMED", 1)
    for seed in range(2):
        add_run(study, seed=seed)
    data = data_of(page_of(study))
    assert [one["name"] for one in data["metrics"]] == ["validation/accuracy", "train/loss", "validation/loss"]
    assert data["left_out"] == "train/accuracy and 1 more"


def test_long_runs_are_thinned_to_steps_that_they_share_with_the_first_and_the_last(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_curves, "MOST_OF_RUN", 3)
    names = [add_run(study, seed=seed).name for seed in range(3)]
    for name, rows in zip(names, (3, 6, 12), strict=True):
        body = [f"{step},{step / 100}" for step in range(rows)]
        (study / name / "metrics.csv").write_text("\n".join(["step,validation/accuracy", *body]) + "\n")
    data = data_of(page_of(study))
    assert sorted(data["steps"]) == [[0, 1, 2], [0, 2, 4, 5], [0, 4, 8, 11]]
    assert (data["thinned"], data["epochs"]) == (3, [])
    monkeypatch.setattr(page_curves, "MOST_DRAWN", 6)
    assert sorted(data_of(page_of(study))["steps"]) == [[0, 2], [0, 4, 5], [0, 8, 11]]


def test_20000_evaluations_a_run_are_not_a_large_page(study: Path) -> None:
    values = np.random.default_rng(0).random(20_000)
    rows = [f"{step},{step / 40},{x},{x},{x},{x}" for step, x in enumerate(values.tolist())]
    header = "step,epoch,train/loss,train/accuracy,validation/loss,validation/accuracy"
    for seed in range(3):
        (add_run(study, seed=seed) / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")
    assert len(page_of(study)) < 200_000


def test_numbers_at_the_edge_have_a_page(study: Path) -> None:
    for model, value in (("net1", 1e308), ("net2", 5e-324)):
        add_run(study, model, accuracy=value)
    data = data_of(page_of(study))
    assert {row_of(data, i)["validation/accuracy"] for i in range(2)} == {1e308, 5e-324}


def test_settings_that_have_no_column_are_there_for_the_runs_that_differ_in_them(study: Path) -> None:
    for model in ("net2", "net5"):
        add_run(study, model)
    add_run(study, "net5", 1, **{"ablation": "wide", "model.channels": 32})
    add_unfinished(study, "failed", "net9", 4)
    data = data_of(page_of(study))
    of_model = {row_of(data, i)["run"].split("-")[0]: data["setting"][i] for i in range(4)}
    found = {
        one["key"]: {model: one["values"][one["of"][i]] for model, i in of_model.items()} for one in data["unlisted"]
    }
    assert found["model.hidden_layers"] == {"net2": "2", "net5": "5", "net9": "9"}
    assert not {"model", "model.name", "seed", "ablation", "study", "optimizer.lr"} & found.keys()
    assert {"model", "seed"} <= set(data["settings"]) <= set(data["columns"])


def test_the_answer_comes_with_the_numbers_behind_it(study: Path) -> None:
    for seed in range(5):
        add_run(study, "net2", seed, 0.9 + seed / 1000)
        add_run(study, "net5", seed, 0.95 + seed / 900)
    page = page_of(study, STUDY_FILE)
    text = Elements(page).text
    for part in ("Five hidden layers", "H1: a(net5) > a(net2)", "Answer", "net5 against net2", "Holm-adjusted p"):
        assert part in text
    assert re.search(r"Answer\s*supported", text)
    assert '<div class="answer supported">' in page
    for word in (SUPPORTED, SHOWN, NOT_SUPPORTED):  # the style knows each that decides
        assert f".answer.{word.replace(' ', '-')} {{" in page
    assert "No answer here" in Elements(page_of(study, STUDY_FILE, "validation/loss")).text


def test_a_study_without_results_and_without_a_file_has_a_page(study: Path) -> None:
    add_unfinished(study, "interrupted")
    page = page_of(study)
    assert "No run has results yet" in page
    assert 'class="answer' not in page
    assert (row_of(data_of(page), 0)["status"], data_of(page)["metric"]) == ("interrupted", None)
    assert "No answer yet" in page_of(study, STUDY_FILE)


def test_tables_are_readable_without_a_script(study: Path) -> None:
    add_run(study)
    table = Table("Mean & more", ["model", "mean"], [["a<b", "0.91"], ["c", "0.90"]], 1, {(0, 1)}, {(1, 1)})
    page = page_of(study, tables={"summary_test": table, "runs": Table("in the list", ["run"], [["r"]], 1)})
    assert "<h2>Summary test</h2>" in page
    assert "Mean &amp; more" in page
    assert '<tr><td>a&lt;b</td><td class="number"><b>0.91</b></td></tr>' in page
    assert '<tr><td>c</td><td class="number">0.90<sup>†</sup></td></tr>' in page
    assert "in the list" not in page


def test_people_read_labels_and_percent_in_the_list_and_in_the_curves(study: Path) -> None:
    for model in ("net2", "net5"):
        add_run(study, model, accuracy=0.912345678901234)
    labels = {
        "validation/accuracy": Label("accuracy", percent=True),
        "net2": Label("deep"),
        "model": Label("net"),
    }
    data = data_of(page_of(study, labels=labels))
    words = dict(data["words"])
    assert (words["model"], words["net2"], words["validation/accuracy"]) == ("net", "deep", "validation accuracy (%)")
    assert row_of(data, 0)["validation/accuracy"] == 91.2345678901234
    assert data["metrics"][0]["title"] == "validation accuracy (%)"
    curve = curves_of(data)[0]
    assert curve
    assert curve[3] == pytest.approx(91.2346, rel=2e-5)


def test_a_long_table_says_where_its_other_rows_are(study: Path) -> None:
    add_run(study)
    rows = [[f"class {i}", str(i)] for i in range(1000)]
    page = page_of(study, tables={"per_class": Table("Of every class.", ["class", "mean"], rows, 1)})
    assert "Of every class. The first 100 of 1000 rows; all are in tables/per_class.csv beside this page." in page
    assert "class 99" in page
    assert "class 100" not in page


def test_figures_are_inside_with_their_captions(study: Path) -> None:
    add_run(study)
    page = page_of(study)
    elements = Elements(page)
    (image,) = [attributes for tag, attributes in elements.tags if tag == "img"]
    assert image["src"] == f"data:image/png;base64,{PIXEL}"
    assert (image["alt"], image["loading"], image["width"]) == ("cost, described below", "lazy", "1")
    assert "Cost. What it costs." in elements.text


def test_warnings_are_on_the_page(study: Path) -> None:
    for seed in range(2):
        add_run(study, seed=seed)
    assert "check that the seed has an effect" in page_of(study)


def test_500_runs_of_100_epochs_are_at_most_half_a_megabyte(study: Path) -> None:
    sizes = []
    for runs in (range(25), range(25, 50)):
        for i in runs:
            folder = add_run(study, f"net{2 + i % 5}", i // 5, 0.9 + i / 997)
            rows = [f"{18 * e},{e},{1 - 1 / (e + i / 7)!r}" for e in range(1, 101)]
            (folder / "metrics.csv").write_text("\n".join(["step,epoch,validation/accuracy", *rows]) + "\n")
        sizes.append(len(page_of(study).encode()))
    per_run = (sizes[1] - sizes[0]) / 25
    assert sizes[1] + 450 * per_run < 500_000


def test_the_same_runs_give_the_same_bytes(study: Path) -> None:
    for seed in range(3):
        add_run(study, seed=seed)
    assert page_of(study) == page_of(study)
