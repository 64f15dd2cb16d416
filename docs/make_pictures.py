"""Remakes the pictures of README.md from the report of `make demo`: a page of the PDF, and the HTML page in a browser.

`make pictures` runs both. It needs chromium and chromedriver.
"""

import io
import shutil
import tempfile
from pathlib import Path

import typst
from PIL import Image
from selenium import webdriver

TEMPLATE = Path(__file__).resolve().parents[1]
REPORT = TEMPLATE / "build" / "digits-study" / "data" / "reports" / "sweep_models"
PICTURES = TEMPLATE / "docs" / "pictures"
PAGE = '#set page(width: auto, height: auto, margin: 0pt)\n#image("report.pdf", width: 21cm)'
WIDTH, HEIGHT = 1100, 1450  # pixels


def page_of_pdf() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "page.typ"
        source.write_text(PAGE, encoding="utf-8")
        shutil.copy(REPORT / "report.pdf", folder)
        return typst.compile(source, root=folder, format="png", ppi=WIDTH / (21 / 2.54))


def html_page() -> bytes:
    """Where its list of runs begins."""
    options = webdriver.ChromeOptions()
    for word in ("--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(word)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        browser.get((REPORT / "report.html").as_uri())
        browser.execute_script("document.getElementById('runs').scrollIntoView()")
        return browser.get_screenshot_as_png()


def keep(name: str, png: bytes) -> None:
    """In 64 colours: half the bytes, and nobody sees it."""
    Image.open(io.BytesIO(png)).convert("RGB").quantize(64).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    keep("report_pdf", page_of_pdf())
    keep("report_html", html_page())
