"""Draws the picture of a report, as a browser shows it: `python docs/report_picture.py RUN [--compare RUN2]`.

The one in `docs/` shows a run on MovieLens-100K with names beside one without. It needs Debian's Chromium, playwright
and Pillow; the report is that of `mltfr report RUN`.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

OUT = Path(__file__).parent / "report.png"
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT, COLOURS = 1200, 900, 64
LARGEST = 200_000
"""Bytes of the picture, at most."""


def main() -> None:
    """Write the report of a run, and the picture of its beginning."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--title", default="Films: what did the names add?")
    parser.add_argument("--height", type=int, default=HEIGHT)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        command = [sys.executable, "-m", "mltfr", "report", str(given.run), "--out", str(page), "--title", given.title]
        command += ["--compare", str(given.compare)] if given.compare else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            window = browser.new_page(viewport={"width": WIDTH, "height": given.height}, color_scheme="light")
            window.goto(page.as_uri())
            picture = window.screenshot()
            browser.close()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(given.out, optimize=True)
    if given.out.stat().st_size > LARGEST:
        raise SystemExit(f"The picture has more than {LARGEST:,} bytes: give a smaller --height.")


if __name__ == "__main__":
    main()
