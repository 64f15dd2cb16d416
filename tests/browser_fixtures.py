"""Pages of a few studies, and a browser to open them in. `pytest_plugins = ["browser_fixtures"]` gives them to a test
file; report_pages.py has what a reader does with them."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from baking import MAKERS, PROJECT, succeed
from faults import LONGEST_S
from report_pages import HOSTILE, HOSTILE_METRIC, HOSTILE_STUDY, INSTALL, PICTURE, Open, resize, webdriver

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

INSIDE = ("data:", "blob:")  # pictures of the page, and the file that it makes: no place that could be asked
CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"

MAKE_PAGES = """
import base64, json, sys
from pathlib import Path
from labkit.reporting.analysis.checks import find_warnings
from labkit.reporting.analysis.findings import find
from labkit.reporting.analysis.names import Label
from labkit.reporting.pages.contents import Contents
from labkit.reporting.pages.html_page import write_page
from labkit.runs.study import read_study
from labkit.reporting.tables import make_tables
from run_folders import add_run, add_unfinished

folder, picture, hostile, hostile_study, hostile_metric = Path(sys.argv[1]), *sys.argv[2:]

def page(name, study, labels=None):
    (folder / name).mkdir()
    read = read_study(study)
    findings = find(read, None, None, None, ["seed"], labels) if read.ended else None
    warnings = find_warnings(findings) if findings else []
    captions = {"cost": "What it costs."} if name == "depth" else {}
    (folder / name / "figures").mkdir()
    (folder / name / "figures" / "cost.png").write_bytes(base64.b64decode(picture))
    write_page(folder / name, Contents(read, None, findings, make_tables(read, findings), captions, [], warnings))

study = folder / "runs" / "depth"
for model, accuracy in (("net2", 0.7), ("net5", 0.9)):
    for rate in (0.001, 0.01):
        for seed in range(3):
            add_run(study, model, seed, accuracy + 5 * rate + seed / 1000, test=0.5, **{"optimizer.lr": rate})
add_unfinished(study, "failed", "net2", 9, reason="CUDA out of memory")
page("depth", study)

study = folder / "runs" / "uneven"  # eight settings; one run of the last stopped early, one member says =1+1
for i in range(8):
    for seed in range(2):
        run = add_run(study, f"net{i}", seed, 0.9 + seed / 100)
(run / "metrics.csv").write_text("".join((run / "metrics.csv").read_text().splitlines(True)[:4]))
add_unfinished(study, "failed", "=1+1", reason='@quoted, "twice"')
page("uneven", study)
page("labelled", study, {"validation/accuracy": Label("accuracy", percent=True), "net3": Label("three layers")})

study = folder / "runs" / "edge"
long = "".join(chr(97 + i % 26) for i in range(1400))
add_run(study, "net1", 0, 1e308, **{"optimizer.note": long})
for model, last in (("net2", "1e308,-1e308"), ("net3", "-5e-324,1e-320")):
    run = add_run(study, model, 0, 0.5, **{"training.clip_norm": 1e308})
    (run / "metrics.csv").write_text(f"step,epoch,validation/accuracy,validation/{long}\\n1,1,1e-5,0\\n2,2,{last}\\n")
    for i in range(1000):
        with (run / "metrics.csv").open("a") as file:
            file.write(f"{i + 3},{i},{i},{i}\\n")
add_unfinished(study, "failed", "net4", reason=long)
page("edge", study)

study = folder / "runs" / hostile_study
for seed in range(2):
    for model in (hostile, "net2"):
        run = add_run(study, model, seed, 0.9 + seed / 100)
        for file in (run / "run.json", run / "metrics.csv"):
            file.write_text(file.read_text().replace("validation/accuracy", hostile_metric))
add_unfinished(study, "failed", "net3", reason=hostile)
page("hostile", study)

study = folder / "runs" / "many"
for seed in range(250):
    add_run(study, "net2", seed)
page("many", study)

study = folder / "runs" / "no_curves"
(add_run(study) / "metrics.csv").unlink()
page("no_curves", study)

study = folder / "runs" / "no_results"
add_unfinished(study, "running")
page("no_results", study)
"""


@pytest.fixture(scope="session")
def pages(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder per study, each with its page."""
    folder = tmp_path_factory.mktemp("pages")
    names = (PICTURE, HOSTILE, HOSTILE_STUDY, HOSTILE_METRIC)
    succeed(sys.executable, "-c", MAKE_PAGES, folder, *names, cwd=template / PROJECT, PYTHONPATH=MAKERS)
    return folder


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Chrome]":
    if absent := [path for path in (CHROMIUM, DRIVER) if not shutil.which(path)]:
        missing = f"{', '.join(absent)}: not found; install with {INSTALL}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as started:
        started.set_script_timeout(LONGEST_S)
        yield started


@pytest.fixture
def open_page(chromium: "Chrome", pages: Path) -> Iterator[Open]:
    """Opens the page of a study; afterwards, nothing but these pages was asked for and the console is empty."""
    opened: set[str] = set()
    resize(chromium, 1280, 1000)
    chromium.get("about:blank")
    for log in ("browser", "performance"):
        chromium.get_log(log)

    def open_study(name: str) -> "Chrome":
        page = pages / name / "report.html"
        opened.add(page.as_uri())
        chromium.get(page.as_uri())
        return chromium

    yield open_study
    assert chromium.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked_for = {
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in asked_for if not url.startswith(INSIDE)} == opened
