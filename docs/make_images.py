"""The pictures of the README: the top of the report of the recorded run, in both languages.

    .venv/bin/python docs/make_images.py

Needs playwright (requirements-dev.txt) and Chromium with Korean fonts (`apt-get install chromium fonts-nanum`).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
RECORDED = "examples/recorded"  # relative, so that the picture shows no folder of this machine
IMAGES = {"en": "report.png", "ko": "report.ko.png"}
WIDTH, HEIGHT = 1200, 1270  # pixels: down to the end of the chart of failure rates


def report(lang: str, folder: Path) -> Path:
    """Make the report of the recorded run in language `lang`, made in `folder`. Raises CalledProcessError."""
    result = folder / lang / "evolution_result.json"
    result.parent.mkdir()
    words = ["--replay", f"{RECORDED}/learned.jsonl", "--data-path", f"{RECORDED}/seeds.jsonl", "--lang", lang]
    words += ["--save-path", str(result), "--quiet"]
    subprocess.run([sys.executable, "main.py", *words], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return result.with_suffix(".run") / "report.html"


def main() -> None:
    """Write docs/images/. Raises SystemExit where there is no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("error: no Chromium found: apt-get install chromium fonts-nanum")
    images = PROJECT / "docs/images"
    images.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for lang, name in IMAGES.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto(report(lang, Path(folder)).as_uri())
            page.screenshot(path=images / name)
        browser.close()


if __name__ == "__main__":
    main()
