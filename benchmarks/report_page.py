"""report.html: how large it is, how long Python takes to write it, and a headless Chromium to draw and to filter it.

python benchmarks/report_page.py
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

TEMPLATE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE / "{{cookiecutter.project_slug}}"), str(TEMPLATE / "tests" / "project")]

from labkit.reporting.analysis.checks import find_warnings  # noqa: E402
from labkit.reporting.analysis.findings import find  # noqa: E402
from labkit.reporting.pages.contents import Contents  # noqa: E402
from labkit.reporting.pages.html_page import write_page  # noqa: E402
from labkit.reporting.tables import make_tables  # noqa: E402
from labkit.runs.study import read_study  # noqa: E402
from run_folders import add_run, write_json  # noqa: E402

EPOCHS = 100
ROUNDS = 7
RATES = (0.0003, 0.001, 0.003, 0.01)
HEADER = "step,epoch,learning_rate,train/loss,train/accuracy,validation/loss,validation/accuracy\n"
QUERIES = ("net5", "seed=3", "validation/accuracy>0.95 lr<0.01", "finished", "")
DRAWN = "return performance.getEntriesByName('drawn')[0]?.startTime ?? null"
# Until the rows of the query are on the screen, and until all their curves are.
FILTER = """
const [query, done] = arguments, filter = document.getElementById("filter"), start = performance.now();
performance.clearMarks("drawn");
filter.value = query;
filter.dispatchEvent(new Event("input"));
let rows = null;
requestAnimationFrame(() => setTimeout(() => { rows = performance.now() - start; }));
setTimeout(function wait() {
  const drawn = performance.getEntriesByName("drawn")[0];
  if (drawn && rows) done([rows, drawn.startTime - start]); else setTimeout(wait, 5);
});
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for runs in (500, 1000, 10_000):
            measure(Path(folder), runs)


def measure(folder: Path, runs: int) -> None:
    study = make_study(folder / str(runs), runs)
    seconds, page = write(study, folder)
    size = page.stat().st_size / 1e6
    print(f"{runs:6} runs x {EPOCHS} epochs: written in {seconds:.2f} s, {size:.2f} MB", flush=True)
    with start_chromium() as browser:
        print(f"{'':13}drawn after       {summary([draw(browser, page) for _ in range(ROUNDS)])}")
        for query in QUERIES:
            times = [browser.execute_async_script(FILTER, query) for _ in range(ROUNDS)]
            shown = browser.find_element("id", "matches").text
            rows, both = (summary([one[i] / 1000 for one in times]) for i in (0, 1))
            print(f"{'':13}filtered in       {rows}, curves {both}: {query!r}, {shown}")


def write(study: Path, folder: Path) -> tuple[float, Path]:
    """How long write_page takes, median, and the page."""
    read = read_study(study)
    findings = find(read, None, None, None, ["seed"])
    contents = Contents(read, None, findings, make_tables(read, findings), {}, [], find_warnings(findings))
    return timed(lambda: write_page(folder, contents)), folder / "report.html"


def timed(work: Callable[[], None]) -> float:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def make_study(parent: Path, runs: int) -> Path:
    """Runs of eight settings that differ in all that a row of the page shows; copies of one in the rest."""
    study = parent / "speed"
    record = json.loads((add_run(study, seed=runs) / "run.json").read_bytes())
    draw = random.Random(0)
    for i in range(1, runs):
        model, rate, seed = f"net{2 + 3 * (i % 2)}", RATES[i // 2 % 4], i // 8
        folder = study / f"{model}-digits-s{seed}-{i:012x}"
        folder.mkdir()
        accuracy = [0.97 - 0.5 / epoch + draw.gauss(0, 0.01) for epoch in range(1, EPOCHS + 1)]
        losses = [2.3 / epoch + draw.random() / 100 for epoch in range(1, EPOCHS + 1)]
        lines = zip(losses, accuracy, strict=True)
        rows = [f"{18 * e},{e},0.001,{x},{y},{x + 0.1},{y}\n" for e, (x, y) in enumerate(lines, 1)]
        (folder / "metrics.csv").write_text(HEADER + "".join(rows))
        (folder / "config.yaml").write_text("{}")
        config, best = record["config"], dict(record["best"])
        config = config | {"seed": seed, "model": config["model"] | {"name": model}}
        config["optimizer"] = config["optimizer"] | {"lr": rate}
        best["metrics"] = best["metrics"] | {"validation/accuracy": max(accuracy)}
        own = {"run_id": folder.name[-12:], "name": folder.name, "config": config, "best": best}
        cost = record["cost"] | {"wall_s": draw.uniform(50, 80), "examples_per_s": draw.uniform(4000, 5000)}
        write_json(folder / "run.json", record | own | {"cost": cost})
    return study


def start_chromium() -> Chrome:
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000"):
        options.add_argument(word)
    return Chrome(options, Service("/usr/bin/chromedriver"))


def draw(browser: Chrome, page: Path) -> float:
    """Seconds from the start of the navigation to after the first drawing."""
    browser.get("about:blank")
    browser.get(page.as_uri())
    for _ in range(1000):
        if (drawn := browser.execute_script(DRAWN)) is not None:
            return drawn / 1000
        time.sleep(0.01)
    raise TimeoutError(f"{page} is not drawn after 10 s")


def summary(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"


if __name__ == "__main__":
    main()
