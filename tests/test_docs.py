"""The pages: every link leads somewhere, and every tool and page is named where a newcomer looks."""

import re

import pytest
import yaml
from conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), ROOT / "pretrained" / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INTERNAL = {"checkout.py"}  # a part of the others


def anchors(text):
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page.name}: {link}"


def test_the_readme_names_every_tool_and_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tools = {path.name for path in (ROOT / "tools").glob("*.py")} - INTERNAL
    assert [name for name in sorted(tools) if f"tools/{name}" not in text] == []
    pages = [path.name for path in (ROOT / "docs").glob("*.md")]
    assert [name for name in pages if f"docs/{name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_code_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|sh|yaml))`", page.read_text(encoding="utf-8"))
    ours = [name for name in named if not name.startswith("mxnet/") and "NAME" not in name]
    missing = [name for name in ours if not ((ROOT / name).exists() or (ROOT / "gluon_madapt" / name).exists())]
    assert missing == []


def test_the_files_that_pages_show_are_experiments():
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            assert isinstance(yaml.safe_load(block), dict), page
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["preferred-citation"]["year"] == 2019
