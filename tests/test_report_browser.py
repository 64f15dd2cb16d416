"""report.html in a real browser, driven as a reader does: sorted, filtered, pointed at, with and without a mouse. It
asks for nothing but itself, and runs nothing but its own script, whatever the names in the study are."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from baking import MAKERS, PROJECT, succeed

_INSTALL = (
    "`pip install -r requirements-dev.txt` and `apt-get install --no-install-recommends chromium chromium-driver`"
)
webdriver = pytest.importorskip("selenium.webdriver", reason=f"selenium: not found; install with {_INSTALL}")
if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
_ABSENT = [path for path in (CHROMIUM, DRIVER) if not shutil.which(path)]
Open = Callable[[str], "Chrome"]
Keys = webdriver.Keys

HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\">'\n&amp; <!-- é 中 {x} {{ 7*7 }}{% raw %}{#"
HOSTILE_STUDY = "<img src=x onerror=\"document.title='hacked'\"> 'é' &amp; {{ 7*7 }}{#"
HOSTILE_METRIC = "validation/<img src=x onerror=document.title=1>"
MAKE_PAGES = """
import json, sys
from pathlib import Path
from labkit.reporting.checks import find_warnings
from labkit.reporting.findings import find
from labkit.reporting.pages.contents import Contents
from labkit.reporting.pages.html_page import write_page
from labkit.runs.study import read_study
from labkit.reporting.tables import make_tables
from run_folders import add_run, add_unfinished

folder, hostile, hostile_study, hostile_metric = Path(sys.argv[1]), *sys.argv[2:]

def page(name, study):
    (folder / name).mkdir()
    read = read_study(study)
    findings = find(read, None, None, None, ["seed"]) if read.ended else None
    warnings = find_warnings(findings) if findings else []
    write_page(folder / name, Contents(read, None, findings, make_tables(read, findings), {}, [], warnings))

study = folder / "runs" / "depth"
for model, accuracy in (("net2", 0.7), ("net5", 0.9)):
    for rate in (0.001, 0.01):
        for seed in range(3):
            add_run(study, model, seed, accuracy + 5 * rate + seed / 1000, test=0.5, **{"optimizer.lr": rate})
add_unfinished(study, "failed", "net2", 9, reason="CUDA out of memory")
page("depth", study)

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


@pytest.fixture(scope="module")
def pages(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder per study, each with its page."""
    folder = tmp_path_factory.mktemp("pages")
    names = (HOSTILE, HOSTILE_STUDY, HOSTILE_METRIC)
    succeed(sys.executable, "-c", MAKE_PAGES, folder, *names, cwd=template / PROJECT, PYTHONPATH=MAKERS)
    return folder


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Chrome]":
    if _ABSENT:
        missing = f"{', '.join(_ABSENT)}: not found; install with {_INSTALL}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as started:
        started.set_script_timeout(20)
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
    assert asked_for == opened


def resize(browser: "Chrome", width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def column(browser: "Chrome", name: str) -> list[str]:
    """What stands in a column of the list of runs, top to bottom."""
    script = """
        const all = (selector) => [...document.querySelectorAll("#list " + selector)];
        const column = all("thead th").map((head) => head.textContent).indexOf(arguments[0]);
        return all("tbody tr").map((row) => row.cells[column].textContent);
    """
    return browser.execute_script(script, name)


def header(browser: "Chrome", name: str) -> "WebElement":
    (found,) = [one for one in browser.find_elements("css selector", "#list thead th") if one.text.strip() == name]
    return found


def search(browser: "Chrome", query: str) -> str:
    """Type into the filter; returns how many runs match, as the page says."""
    box = browser.find_element("id", "filter")
    box.clear()
    box.send_keys(query)
    return browser.find_element("id", "matches").text


def drawn_colours(browser: "Chrome", canvas: str) -> dict[str, list[int]]:
    """{colour as #rrggbb: one place that it is drawn at} on the canvas as it is after the next frame."""
    script = """
        const [id, done] = arguments;
        requestAnimationFrame(() => setTimeout(() => {
          const {width, height} = document.getElementById(id), copy = new OffscreenCanvas(width, height), found = {};
          const pen = copy.getContext("2d", {willReadFrequently: true});
          pen.drawImage(document.getElementById(id), 0, 0);
          const pixels = pen.getImageData(0, 0, width, height).data;
          for (let i = 0; i < pixels.length; i += 4) {
            if (pixels[i + 3] < 250) continue;
            const colour = "#" + [0, 1, 2].map((k) => pixels[i + k].toString(16).padStart(2, "0")).join("");
            found[colour] = [i / 4 % width, Math.floor(i / 4 / width)];
          }
          done(found);
        }));
    """
    return browser.execute_async_script(script, canvas)


def move_to(browser: "Chrome", x: int, y: int) -> None:
    """The pointer, to a place on the canvas that listens."""
    canvas = browser.find_element("id", "marks")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    from_centre = (x - canvas.rect["width"] // 2, y - canvas.rect["height"] // 2)
    webdriver.ActionChains(browser, duration=0).move_to_element_with_offset(canvas, *map(int, from_centre)).perform()


def test_a_column_of_numbers_is_sorted_both_ways_with_blanks_last(open_page: Open) -> None:
    browser = open_page("depth")
    head = header(browser, "validation/accuracy")
    assert head.get_attribute("aria-sort") == "none"
    for direction in ("ascending", "descending"):
        head.find_element("tag name", "button").click()
        *numbers, blank = column(browser, "validation/accuracy")
        assert head.get_attribute("aria-sort") == direction
        assert numbers == sorted(numbers, key=float, reverse=direction == "descending")
        assert (len(numbers), blank) == (12, "")
    header(browser, "seed").find_element("tag name", "button").click()
    assert column(browser, "seed")[:5] == ["0"] * 4 + ["1"]
    assert head.get_attribute("aria-sort") == "none"


def test_the_list_is_sorted_and_walked_through_by_the_keyboard(open_page: Open) -> None:
    browser = open_page("depth")
    active: Any = lambda: browser.switch_to.active_element  # noqa: E731
    search(browser, "finished")
    for _ in range(3):  # from the filter through the list as a whole to the head of its first column
        active().send_keys(Keys.TAB)
        if active().tag_name == "button":
            break
    assert active().text.strip() == "run"
    active().send_keys(Keys.TAB, Keys.NULL)
    active().send_keys(Keys.ENTER)
    active().send_keys(Keys.SPACE)
    assert header(browser, "status").get_attribute("aria-sort") == "descending"
    first, second, last = (column(browser, "run")[i] for i in (0, 1, -1))
    while active().tag_name != "tr":
        active().send_keys(Keys.TAB)
    for keys, run in (("", first), (Keys.ARROW_DOWN, second), (Keys.END, last), (Keys.HOME, first)):
        active().send_keys(keys)
        assert active().text.startswith(run)
        assert browser.find_element("id", "tip").text.startswith(run)


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("", "13 runs"),
        ("NET5", "6 of 13 runs"),
        ('"out of memory"', "1 of 13 runs"),
        ("seed=1", "4 of 13 runs"),
        ("validation/accuracy>0.95", "3 of 13 runs"),
        ("model=net5 lr<0.01", "3 of 13 runs"),
        ("optimizer.lr>=1e-2 net2", "3 of 13 runs"),
        ("status!=finished", "1 of 13 runs"),
        ('reason="CUDA out of memory"', "1 of 13 runs"),
        ("net5 net2", "0 of 13 runs"),
    ],
)
def test_words_and_conditions_filter(open_page: Open, query: str, matches: str) -> None:
    browser = open_page("depth")
    assert search(browser, query) == matches
    assert len(column(browser, "run")) == int(matches.split()[0])
    assert browser.find_element("id", "problem").text == ""


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("depth=3", "there is no column depth; there are run, status, model, optimizer.lr, seed,"),
        ("accuracy>0.9", "accuracy may be validation/accuracy or test/accuracy: write more of it."),
        ("lr<", "lr< lacks a value after <."),
        ("lr<small", "lr<small: small is no number."),
        ("model<3", "model holds text: compare it by = or !=."),
        (">3", ">3 lacks a column before >."),
        ('model="net5', 'model="net5 lacks its second quote.'),
    ],
)
def test_what_the_filter_does_not_understand_it_says_and_applies_the_rest(
    open_page: Open, condition: str, sentence: str
) -> None:
    browser = open_page("depth")
    assert search(browser, f"net5 {condition}") == "6 of 13 runs"
    assert browser.find_element("id", "problem").text.startswith(f"Not applied: {sentence}")


BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"  # net2 and net5, each by learning rate


def test_the_filter_drives_the_curves(open_page: Open) -> None:
    browser = open_page("depth")
    looks = {BLUE, VERMILION, GREEN, PURPLE}
    assert looks <= drawn_colours(browser, "lines").keys()
    search(browser, "model=net5")
    assert looks & drawn_colours(browser, "lines").keys() == {GREEN, PURPLE}
    label = browser.find_element("id", "lines").get_attribute("aria-label")
    assert label is not None
    assert label.startswith("6 learning curves of validation/accuracy")
    legend = [item.text for item in browser.find_elements("css selector", "#legend li")]
    assert legend == ["net2, lr=0.001 (0)", "net2, lr=0.01 (0)", "net5, lr=0.001 (3)", "net5, lr=0.01 (3)"]
    search(browser, "nothing has this name")
    assert not looks & drawn_colours(browser, "lines").keys()


def test_pointing_at_a_curve_names_its_run_and_the_value(open_page: Open) -> None:
    browser = open_page("depth")
    search(browser, "net5 lr=0.01 seed=2")
    (run,) = column(browser, "run")
    search(browser, "seed=2")
    move_to(browser, *drawn_colours(browser, "lines")[PURPLE])
    name, value, setting = browser.find_element("id", "tip").text.split("\n")
    assert (name, setting) == (run, "net5, lr=0.01")
    numbers = {18: 0.682, 36: 0.832, 54: 0.922, 72: 0.952, 90: 0.922}  # the curve of tests/run_folders.py
    assert value in {f"validation/accuracy {number} at step {step}" for step, number in numbers.items()}
    assert [row.text.split()[0] for row in browser.find_elements("css selector", "tr.lit")] == [run]
    assert drawn_colours(browser, "marks").keys() & {PURPLE, BLUE} == {PURPLE}
    move_to(browser, 2, 2)
    assert browser.find_element("id", "tip").text == ""
    assert PURPLE not in drawn_colours(browser, "marks")


def test_pointing_at_a_row_or_a_setting_lights_its_curves(open_page: Open) -> None:
    browser = open_page("depth")
    row = browser.find_element("css selector", "#list tbody tr")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", row)
    webdriver.ActionChains(browser, duration=0).move_to_element(row).perform()
    assert browser.find_element("id", "tip").text.startswith(column(browser, "run")[0])
    assert len(drawn_colours(browser, "marks").keys() & {BLUE, VERMILION, GREEN, PURPLE}) == 1
    setting = browser.find_elements("css selector", "#legend li")[2]
    webdriver.ActionChains(browser, duration=0).move_to_element(setting).perform()
    assert drawn_colours(browser, "marks").keys() & {BLUE, VERMILION, GREEN, PURPLE} == {GREEN}


def test_a_hostile_study_breaks_nothing_and_runs_nothing(open_page: Open) -> None:
    browser = open_page("hostile")
    assert browser.title == HOSTILE_STUDY
    assert browser.find_element("tag name", "h1").text == HOSTILE_STUDY
    shown = HOSTILE.replace("\n", "\\n")
    assert sorted(column(browser, "model")) == sorted(["net2", "net2", "net3", shown, shown])
    assert shown in column(browser, "reason")
    assert search(browser, "onerror") == "3 of 5 runs"
    assert search(browser, '"<img src=x" 中') == "3 of 5 runs"
    assert search(browser, f'"{HOSTILE_METRIC}">0.9') == "2 of 5 runs"
    browser.execute_script("document.querySelector('#list tbody tr').focus()")
    assert HOSTILE_METRIC in browser.find_element("id", "tip").text
    assert search(browser, HOSTILE) == "3 of 5 runs"
    assert browser.find_element("id", "problem").text.startswith("Not applied: ")
    header(browser, HOSTILE_METRIC).find_element("tag name", "button").click()
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert browser.title == HOSTILE_STUDY


def test_a_long_list_begins_with_its_first_rows_and_shows_all_when_asked(open_page: Open) -> None:
    browser = open_page("many")
    assert len(column(browser, "run")) == 200
    more = browser.find_element("id", "more")
    assert more.text == "The first 200 are shown. Show all 250"
    more.find_element("tag name", "button").click()
    assert (len(column(browser, "run")), more.text) == (250, "")
    assert search(browser, "seed>=200") == "50 of 250 runs"
    assert (len(column(browser, "run")), more.text) == (50, "")


@pytest.mark.parametrize("name", ["no_curves", "no_results"])
def test_runs_without_curves_are_listed(open_page: Open, name: str) -> None:
    browser = open_page(name)
    assert len(column(browser, "run")) == 1
    assert browser.find_element("id", "about-curves").text == "No run has a learning curve."
    assert not browser.find_element("id", "plot").is_displayed()
    browser.execute_script("document.querySelector('#list tbody tr').focus()")
    header(browser, "status").find_element("tag name", "button").click()
    assert search(browser, "status=none") == "0 of 1 run"


@pytest.mark.parametrize("name", ["depth", "hostile"])
def test_it_fits_a_phone(open_page: Open, name: str) -> None:
    browser = open_page(name)
    resize(browser, 400, 800)
    root = browser.find_element("tag name", "html")
    assert root.get_property("scrollWidth") == root.get_property("clientWidth")


def test_it_is_readable_without_a_script(open_page: Open) -> None:
    browser = open_page("depth")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        text = browser.find_element("tag name", "body").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "validation/accuracy per setting" in text
    assert "every run is in runs.csv beside this page" in text
    assert "Filter" not in text
