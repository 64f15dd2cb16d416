"""report.html in a real browser, driven as a reader does: sorted, filtered, pointed at, with and without a mouse. It
asks for nothing but itself, and runs nothing but its own script, whatever the names in the study are."""

from typing import Any

import pytest
from report_pages import (
    BLUE,
    GREEN,
    HOSTILE,
    HOSTILE_METRIC,
    HOSTILE_STUDY,
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
    webdriver,
)

pytest_plugins = ["browser_fixtures"]


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
    for _ in range(10):  # from the filter through the controls and the list as a whole to the head of its first column
        active().send_keys(Keys.TAB)
        if active().text.strip() == "run":
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
    assert browser.find_element("id", "about-curves").text.startswith("No run has a learning curve.")
    assert browser.find_element("id", "plot").is_displayed() == (name == "no_curves")  # which has numbers to compare
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
