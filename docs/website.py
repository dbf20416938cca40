"""Build the site: `python docs/website.py [--out FOLDER]`. The pages stay plain Markdown that reads without it.

The pages are copied to `build/docs`, where links to files outside `docs/` lead to copies of these files, and zensical
turns them into `build/site`, strictly: a warning ends the build. Beside every page lies its Markdown, and `llms.txt`
lists them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCES = (".md", ".svg", ".png", ".css")
"""Endings of what is copied; scripts stay where they are."""
KNOWN = {
    "project": {"site_name", "site_description", "docs_dir", "site_dir", "extra_css", "use_directory_urls", "nav",
                "theme", "markdown_extensions"},
    "theme": {"language", "font", "features", "palette"},
    "markdown_extensions": {"tables", "toc", "pymdownx"},
}  # fmt: skip
"""Keys that the configuration may have: zensical passes over those that it does not know."""
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


class SiteError(Exception):
    """The site cannot be built; the text says why."""


def configuration(text: str) -> dict[str, Any]:
    """Return the configuration of a text, checked.

    Raises:
        SiteError: It has a key that is not known here, such as a plugin.
    """
    found = tomllib.loads(text)
    project = found.get("project", {})
    parts = {"project": project, "theme": project.get("theme", {}),
             "markdown_extensions": project.get("markdown_extensions", {})}  # fmt: skip
    unknown = [f"{name}.{key}" for name, part in parts.items() for key in part if key not in KNOWN[name]]
    unknown += [key for key in found if key != "project"]
    if unknown:
        raise SiteError(f"docs/site.toml: unknown: {', '.join(unknown)}. zensical would silently pass over it; add it "
                        "to KNOWN in docs/website.py if zensical's manual has it.")  # fmt: skip
    return found


def prose(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the pieces of a page, each with whether it is prose: not between code fences."""
    for number, piece in enumerate(FENCE.split(text)):
        yield number % 2 == 0, piece


def links(text: str) -> list[str]:
    """Return where the links of a page lead, but those to the web."""
    found = [target for is_prose, piece in prose(text) if is_prose for target in LINK.findall(piece)]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def title(page: Path) -> str:
    """Return the first heading of a page, without marks."""
    found = re.search(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SiteError(f"{page.relative_to(ROOT)}: has no line that begins with '# '.")
    return found[1].replace("`", "")


def summary(page: Path) -> str:
    """Return what a page is for: what its folder's table of pages says, else its own first sentence."""
    index = page.parent / "README.md"
    if row := re.search(rf"^\| (.+) \| \[[^\]]+\]\({page.name}\) \|$", index.read_text("utf-8"), re.MULTILINE):
        return row[1]
    body = re.split(r"^# .*$", page.read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)[1]
    for block in "".join(piece for is_prose, piece in prose(body) if is_prose).split("\n\n"):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(block.split()))
        if text and not re.match(r"[#!<|>-]", text):
            return re.split(r"(?<=[.?]) ", text, maxsplit=1)[0].rstrip(":")
    return ""


def tree(nav: list[str]) -> list[Any]:
    """Return the navigation: a page as `{title: path}`, a README of a folder as `{title: [README, pages ...]}`."""
    entries: list[Any] = []
    for name in nav:
        page = DOCS / name
        folder = PurePosixPath(name).parent
        if page.name != "README.md" or str(folder) == ".":
            entries.append({"Home" if name == "README.md" else title(page): name})
            continue
        below: list[Any] = [name]
        for heading, body in headed(page.read_text("utf-8")):
            group = [{title(page.parent / target): str(folder / target)} for target in pages_of(body)]
            below += [{heading: group}] if heading and group else group
        entries.append({title(page): below})
    return entries


def headed(text: str) -> list[tuple[str, str]]:
    """Return the parts of a page with their second-level headings; the first part has none."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]


def pages_of(text: str) -> list[str]:
    """Return the pages of the same folder that a text links to, each once."""
    return list(dict.fromkeys(t for t in links(text) if re.fullmatch(r"[\w-]+\.md", t)))


def paths(entries: list[Any]) -> list[str]:
    """Return the pages of a navigation, in order."""
    found: list[str] = []
    for entry in entries:
        for below in entry.values() if isinstance(entry, Mapping) else [entry]:
            found += paths(below) if isinstance(below, list) else [below]
    return found


def staged(name: str, text: str, copies: dict[Path, str]) -> str:
    """Return a page whose links out of `docs/` lead to copies; `copies` gets what to copy, and whereto."""
    up = "../" * name.count("/")

    def lead(match: re.Match[str]) -> str:
        path, mark, anchor = match[0].partition("#")
        if re.match(r"[a-z]+:", path) or not path:
            return match[0]
        file = (DOCS / name).parent.joinpath(path).resolve()
        if file.is_relative_to(DOCS):
            return match[0]
        if not file.is_file():
            raise SiteError(f"docs/{name}: links to {path}, which is no file.")
        as_text = "" if file.suffix in (".png", ".svg", ".json") else ".txt"
        copies[file] = f"files/{file.relative_to(ROOT)}{as_text}"
        return f"{up}{copies[file]}{'' if as_text else mark + anchor}"

    return "".join(LINK.sub(lead, piece) if is_prose else piece for is_prose, piece in prose(text))


def stage(build: Path) -> list[Any]:
    """Copy the pages, what they link to, and the configuration, into a folder; return the navigation."""
    config = configuration((DOCS / "site.toml").read_text("utf-8"))
    config["project"]["nav"] = navigation = tree(config["project"]["nav"])
    shutil.rmtree(build, ignore_errors=True)
    copies: dict[Path, str] = {}
    for file in sorted(DOCS.rglob("*")):
        if file.parent.name == "results-notes" or not (file.suffix in SOURCES or file.parent.name == "tutorials"):
            continue
        target = build / "docs" / file.relative_to(DOCS)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            target.write_text(staged(str(file.relative_to(DOCS)), file.read_text("utf-8"), copies), "utf-8")
        else:
            shutil.copyfile(file, target)
    for file, name in copies.items():
        (build / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, build / "docs" / name)
    (build / "zensical.toml").write_text(tomli_w.dumps(config), "utf-8")
    return navigation


def llms(navigation: list[Any]) -> str:
    """Return `llms.txt` (llmstxt.org): every page's Markdown with its first sentence."""
    config = tomllib.loads((DOCS / "site.toml").read_text("utf-8"))["project"]
    lines = [f"# {config['site_name']}", "", f"> {config['site_description']}"]
    for entry in navigation:
        ((heading, below),) = entry.items()
        lines += ["", f"## {heading}", ""]
        for path in paths(below if isinstance(below, list) else [below]):
            said = summary(DOCS / path)
            lines.append(f"- [{title(DOCS / path)}]({path}){': ' + said if said else ''}")
    return "\n".join(lines) + "\n"


def build_site(build: Path) -> Path:
    """Build the site below a folder; return where it lies.

    Raises:
        SiteError: zensical warns of something, or a picture of a page is missing.
    """
    navigation = stage(build)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", build / "zensical.toml"]
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SiteError(f"zensical build --strict: {done.stdout}{done.stderr}".strip())
    site = build / "site"
    for page in paths(navigation):
        shutil.copyfile(build / "docs" / page, site / page)
    (site / "llms.txt").write_text(llms(navigation), "utf-8")
    return site


def main(arguments: list[str]) -> int:
    """Build the site, say where it is; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "docs", help="folder to build in; it is emptied")
    out = parser.parse_args(arguments).out
    try:
        sys.stdout.write(f"{build_site(out)}/index.html\n")
    except SiteError as error:
        sys.stderr.write(f"docs: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
