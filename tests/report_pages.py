"""What the tests of report.html in a browser share: how a reader types, points and looks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

INSTALL = "`pip install -r requirements-dev.txt` and `apt-get install --no-install-recommends chromium chromium-driver`"
webdriver = pytest.importorskip("selenium.webdriver", reason=f"selenium: not found; install with {INSTALL}")
ui = pytest.importorskip("selenium.webdriver.support.ui")
if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

Keys = webdriver.Keys
Open = Callable[[str], "Chrome"]

HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\">'\n&amp; <!-- é 中 {x} {{ 7*7 }}{% raw %}{#"
HOSTILE_STUDY = "<img src=x onerror=\"document.title='hacked'\"> 'é' &amp; {{ 7*7 }}{#"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
HOSTILE_METRIC = "validation/<img src=x onerror=document.title=1>"
BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"  # net2 and net5, each by learning rate


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
