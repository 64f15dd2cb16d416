"""What a reader of report.html chooses in a real browser: what is drawn over what, which columns and which two runs,
dark or light; and that the address and the downloaded file keep it."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faults import LONGEST_S
from report_pages import (
    BLUE,
    GREEN,
    PURPLE,
    VERMILION,
    Keys,
    Open,
    column,
    drawn_colours,
    header,
    move_to,
    resize,
    search,
    ui,
)

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytest_plugins = ["browser_fixtures"]


def choose(browser: "Chrome", control: str, value: str) -> None:
    """In one of the page's lists of choices; `value` is how the address calls it."""
    ui.Select(browser.find_element("id", control)).select_by_value(value)


def smooth(browser: "Chrome", presses: int) -> None:
    """Move the slider of the smoothing to the right, by a hundredth each."""
    browser.find_element("id", "smoothing").send_keys(*[Keys.ARROW_RIGHT] * presses)


def options(browser: "Chrome", control: str) -> list[str]:
    return [option.text for option in ui.Select(browser.find_element("id", control)).options]


def label(browser: "Chrome") -> str:
    """What the plot is, to a screen reader, once it is drawn."""
    drawn_colours(browser, "lines")
    return browser.find_element("id", "lines").get_attribute("aria-label") or ""


def about(browser: "Chrome") -> str:
    drawn_colours(browser, "lines")
    return browser.find_element("id", "about-curves").text


def pointed_at(browser: "Chrome", query: str) -> list[str]:
    """What the page says of the first run that the query finds when its row has the focus, line by line."""
    search(browser, query)
    drawn_colours(browser, "lines")
    browser.execute_script("document.activeElement.blur(); document.querySelector('#list tbody tr').focus()")
    return browser.find_element("id", "tip").text.split("\n")


def tick(browser: "Chrome", run: str) -> None:
    """Its box in the list of runs."""
    browser.find_element("css selector", f"#list input[aria-label='Compare {run}']").click()


def comparison(browser: "Chrome") -> dict[str, list[str]]:
    """The two runs beside each other, by name of the setting or the result."""
    rows = browser.find_elements("css selector", "#comparison tr")
    return {row.find_elements("css selector", "th, td")[0].text: row.text.split()[-2:] for row in rows}


def address(browser: "Chrome", wanted: str) -> str:
    """The address of the page, once it keeps what is wanted."""
    ui.WebDriverWait(browser, LONGEST_S).until(lambda browser: wanted in browser.current_url)
    return browser.current_url


def test_any_metric_but_that_of_test_is_drawn(open_page: Open) -> None:
    browser = open_page("depth")
    metrics = ["validation/accuracy", "train/loss", "validation/loss", "train/accuracy", "validation/accuracy_class_0"]
    assert options(browser, "metric") == metrics
    choose(browser, "metric", "train/loss")
    assert label(browser).startswith("12 learning curves of train/loss")
    assert pointed_at(browser, "net5 lr=0.01 seed=2")[1] == "train/loss 0.42 at step 90"  # 1.9 / 5 + 0.02 * 2


def test_the_x_axis_is_step_epoch_or_a_share_of_the_wall_time(open_page: Open) -> None:
    browser = open_page("depth")
    assert options(browser, "x") == ["step", "epoch", "time, spread evenly over the steps"]
    choose(browser, "x", "epoch")
    assert pointed_at(browser, "net5 lr=0.01 seed=2")[1] == "validation/accuracy 0.922 at epoch 5"
    choose(browser, "x", "time")
    assert pointed_at(browser, "net5 lr=0.01 seed=2")[1] == "validation/accuracy 0.922 after 14.5 s"
    assert "The wall time of a run is spread evenly over its steps" in about(browser)


def test_smoothing_follows_the_curve_and_says_what_was_measured(open_page: Open) -> None:
    browser = open_page("depth")
    smooth(browser, 50)
    values, weight, mean = [0.682, 0.832, 0.922, 0.952, 0.922], 0.0, 0.0  # the curve of tests/run_folders.py
    for value in values:
        mean, weight = 0.5 * mean + 0.5 * value, 0.5 * weight + 0.5
    smoothed = f"validation/accuracy {mean / weight:.4g} smoothed, 0.922 measured, at step 90"
    assert pointed_at(browser, "net5 lr=0.01 seed=2")[1] == smoothed
    assert "what was measured is faint" in about(browser)


def test_a_logarithmic_axis_spreads_small_values(open_page: Open) -> None:
    browser = open_page("depth")
    choose(browser, "metric", "train/loss")
    heights = {}
    for scale in ("linear", "log"):
        choose(browser, "scale", scale)
        assert PURPLE in drawn_colours(browser, "lines")
        heights[scale] = browser.execute_script("return [plot.y(0.38) - plot.y(0.76), plot.y(0.76) - plot.y(1.52)]")
    assert heights["linear"][1] == pytest.approx(2 * heights["linear"][0])
    assert heights["log"][1] == pytest.approx(heights["log"][0])


def test_a_setting_is_a_mean_and_a_range_as_far_as_all_its_runs_go(open_page: Open) -> None:
    browser = open_page("uneven")
    assert label(browser).startswith("16 learning curves")
    choose(browser, "show", "settings")
    assert label(browser).startswith("8 mean curves of validation/accuracy")
    assert "from the lowest to the highest" in about(browser)
    setting, mean, _ = pointed_at(browser, "model=net0 seed=1")
    assert (setting, mean) == ("net0", "mean of 1 run: validation/accuracy 0.88 at step 90")
    assert pointed_at(browser, "model=net0")[1:] == [
        "mean of 2 runs: validation/accuracy 0.875 at step 90",
        "lowest 0.87, highest 0.88",
    ]
    assert pointed_at(browser, "model=net7")[1] == "mean of 2 runs: validation/accuracy 0.875 at step 54"
    legend = browser.find_elements("css selector", "#legend li")
    assert legend[7].text == "net7 (2)"


def test_one_column_is_drawn_against_another(open_page: Open) -> None:
    browser = open_page("depth")
    choose(browser, "show", "columns")
    assert label(browser).startswith("12 points of validation/accuracy")
    assert {BLUE, VERMILION, GREEN, PURPLE} <= drawn_colours(browser, "lines").keys()
    choose(browser, "up", "wall_s")
    choose(browser, "across", "validation/accuracy")
    search(browser, "net5 lr=0.01 seed=2")
    (run,) = column(browser, "run")
    search(browser, "net5 lr=0.01")
    points = {}
    for scale in ("linear", "log"):
        choose(browser, "acrossScale", scale)
        drawn_colours(browser, "lines")
        points[scale] = browser.execute_script("return plot.x(0.951)")
    assert points["log"] != points["linear"]
    move_to(browser, *(round(one) for one in browser.execute_script("return [plot.x(0.952), plot.y(14.5)]")))
    assert browser.find_element("id", "tip").text.split("\n") == [
        run,
        "wall_s 14.5",
        "validation/accuracy 0.952",
        "net5, lr=0.01",
    ]


def test_two_runs_stand_beside_each_other_with_the_settings_that_differ(open_page: Open) -> None:
    browser = open_page("depth")
    runs = {}
    for query in ("net2 lr=0.001 seed=0", "net5 lr=0.001 seed=2", "net5 lr=0.01 seed=2"):
        search(browser, query)
        runs[query] = column(browser, "run")[0]
    first, second, third = runs.values()
    search(browser, "finished")
    tick(browser, first)
    assert browser.find_element("id", "choice").text == f"Choose a second run beside {first}."
    assert not browser.find_element("id", "comparison").is_displayed()
    tick(browser, second)
    table = comparison(browser)
    assert table["model"] == ["net2", "net5"]
    assert table["seed"] == ["0", "2"]
    assert table["model.hidden_layers"] == ["2", "5"]  # which has no column of its own
    assert "optimizer.lr" not in table
    assert [float(value) for value in table["validation/accuracy"]] == [0.705, 0.907]
    assert browser.find_element("id", "difference").text.startswith("They differ in 3 settings")
    tick(browser, third)  # takes the place of the first
    table = comparison(browser)
    assert table[""] == [second, third]
    assert (table["optimizer.lr"], "model" in table) == (["0.001", "0.01"], False)
    tick(browser, third)
    assert not browser.find_element("id", "comparison").is_displayed()


def test_two_runs_are_compared_by_the_keyboard(open_page: Open) -> None:
    browser = open_page("depth")
    browser.execute_script("document.querySelector('#list tbody tr').focus()")
    for keys in (" ", Keys.ARROW_DOWN, " "):
        browser.switch_to.active_element.send_keys(keys)
    assert comparison(browser)[""] == column(browser, "run")[:2]
    assert len(browser.find_elements("css selector", "#list input:checked")) == 2


def test_a_column_is_hidden_and_shown_again(open_page: Open) -> None:
    browser = open_page("depth")
    browser.find_element("id", "hidden-columns").click()
    box = browser.find_element("css selector", "#columns input[value='optimizer.lr']")
    box.click()
    assert browser.find_element("id", "hidden-columns").text == "Columns (1 hidden)"
    heads = [head.text.strip() for head in browser.find_elements("css selector", "#list thead th")]
    assert (heads.count("optimizer.lr"), "seed" in heads) == (0, True)
    cell = browser.find_element("css selector", "#list tbody tr td[hidden]")
    assert not cell.is_displayed()
    box.click()
    assert header(browser, "optimizer.lr").is_displayed()


@pytest.fixture
def downloads(chromium: "Chrome", tmp_path: Path) -> Iterator[Path]:
    """A folder into which the browser puts what it downloads."""
    chromium.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    yield tmp_path
    chromium.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "default"})


def test_the_runs_that_match_are_downloaded_in_their_order(open_page: Open, downloads: Path) -> None:
    browser = open_page("uneven")
    browser.find_element("id", "hidden-columns").click()
    browser.find_element("css selector", "#columns input[value='wall_s']").click()
    search(browser, "seed!=1")
    for _ in range(2):
        header(browser, "model").find_element("tag name", "button").click()
    browser.find_element("id", "download").click()
    file = downloads / "runs.csv"
    ui.WebDriverWait(browser, LONGEST_S).until(lambda _: file.exists() and file.stat().st_size)
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["model"] for row in rows] == [*(f"net{i}" for i in range(7, -1, -1)), "'=1+1"]
    assert rows[-1]["reason"] == """'@quoted, "twice\""""
    assert rows[0]["validation/accuracy"] == "0.9"
    assert "wall_s" not in rows[0]


def test_the_address_keeps_the_view(open_page: Open) -> None:
    browser = open_page("depth")
    search(browser, "model=net5 finished")
    header(browser, "seed").find_element("tag name", "button").click()
    header(browser, "seed").find_element("tag name", "button").click()
    choose(browser, "show", "settings")
    choose(browser, "metric", "validation/loss")
    choose(browser, "x", "epoch")
    choose(browser, "scale", "log")
    smooth(browser, 3)
    browser.find_element("id", "hidden-columns").click()
    browser.find_element("css selector", "#columns input[value='status']").click()
    first, second = column(browser, "run")[:2]
    tick(browser, first)
    tick(browser, second)
    kept = address(browser, f"compare={second}")
    seen = column(browser, "run"), label(browser), about(browser), comparison(browser)
    browser.get("about:blank")
    browser.get(kept)
    assert (column(browser, "run"), label(browser), about(browser), comparison(browser)) == seen
    assert browser.find_element("id", "matches").text == "6 of 13 runs"
    assert header(browser, "seed").get_attribute("aria-sort") == "descending"
    controls = {name: browser.find_element("id", name).get_property("value") for name in ("metric", "x", "scale")}
    assert controls == {"metric": "validation/loss", "x": "epoch", "scale": "log"}
    assert browser.find_element("id", "smoothing").get_property("value") == "0.03"
    assert browser.find_element("id", "hidden-columns").text == "Columns (1 hidden)"


@pytest.mark.parametrize(
    "wrong",
    [
        "sort=nothing&order=sideways&show=3d&metric=test/accuracy&x=mass&scale=cubic&smoothing=2&hidden=run&compare=me",
        "%E0%A4%A&=&&&show&filter",
        "runs",
        "__proto__=1&sort=__proto__&metric=constructor",
    ],
)
def test_what_an_address_says_that_makes_no_sense_is_ignored(open_page: Open, pages: Path, wrong: str) -> None:
    browser = open_page("depth")
    seen = column(browser, "run"), label(browser), about(browser)
    browser.get("about:blank")
    browser.get(f"{(pages / 'depth' / 'report.html').as_uri()}#{wrong}")
    assert (column(browser, "run"), label(browser), about(browser)) == seen
    assert browser.find_element("id", "matches").text == "13 runs"
    assert not browser.find_element("id", "comparison").is_displayed()


def test_an_address_that_is_pasted_into_the_open_page_counts(open_page: Open) -> None:
    browser = open_page("depth")
    browser.execute_script("location.hash = 'filter=net5&show=columns'")
    ui.WebDriverWait(browser, LONGEST_S).until(lambda browser: len(column(browser, "run")) == 6)
    assert label(browser).startswith("6 points")
    browser.execute_script("location.hash = 'runs'")  # a link to a place on the page
    assert label(browser).startswith("6 points")


@pytest.mark.parametrize(("scheme", "paper", "ink"), [("light", 255, "#1b1b1b"), ("dark", 22, "#e8e8e6")])
def test_the_page_and_its_plot_are_light_or_dark(open_page: Open, scheme: str, paper: int, ink: str) -> None:
    browser = open_page("uneven")
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    try:
        search(browser, "model=net6 seed=0")  # the seventh setting, which is black on white
        choose(browser, "show", "columns")
        assert ink in drawn_colours(browser, "lines")
        background = browser.find_element("tag name", "body").value_of_css_property("background-color")
        key = browser.find_element("css selector", "#legend li:nth-child(7) line").value_of_css_property("stroke")
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert background.startswith(f"rgba({paper}, ")
    assert "#{:02x}{:02x}{:02x}".format(*(int(part) for part in key.strip("rgb()").split(","))) == ink


def test_labels_stand_where_a_person_reads_and_both_names_find_a_run(open_page: Open) -> None:
    browser = open_page("labelled")
    accuracy = next(name for name in options(browser, "metric") if "accuracy" in name)
    assert accuracy.endswith("(%)")
    assert header(browser, accuracy).get_attribute("title") == "validation/accuracy"
    assert search(browser, "net3") == search(browser, '"three layers"') == "2 of 17 runs"
    assert search(browser, f'"{accuracy}">=91') == search(browser, "validation/accuracy>=91") == "8 of 17 runs"
    assert pointed_at(browser, "model=net3 seed=1")[1:] == [f"{accuracy} 88 at step 90", "three layers"]


def test_figures_are_in_the_page(open_page: Open) -> None:
    browser = open_page("depth")
    image = browser.find_element("css selector", "figure img")
    browser.execute_script("arguments[0].scrollIntoView()", image)
    ui.WebDriverWait(browser, LONGEST_S).until(lambda _: image.get_property("naturalWidth") == 1)
    assert browser.find_element("tag name", "figcaption").text == "Cost. What it costs."


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_off_the_page_however_long_a_name_or_large_a_number(open_page: Open, width: int) -> None:
    browser = open_page("edge")
    resize(browser, width, 844)
    root = browser.find_element("tag name", "html")
    long = next(name for name in options(browser, "metric") if name.startswith("validation/abc"))
    assert len(long) < 250
    tick(browser, column(browser, "run")[0])
    tick(browser, column(browser, "run")[1])
    for show in ("runs", "settings", "columns"):
        choose(browser, "show", show)
        for scale in ("auto", "linear", "log"):
            if show != "columns":
                choose(browser, "scale", scale)
            assert label(browser)
            browser.execute_script("document.activeElement.blur(); document.querySelector('#list tbody tr').focus()")
            tip = browser.find_element("id", "tip").rect
            assert tip["x"] + tip["width"] <= width
            assert root.get_property("scrollWidth") == root.get_property("clientWidth")
