"""Runs to report on, and what a page must be like whatever it shows: helpers of the report's tests."""

import shutil
from html.parser import HTMLParser

import pytest
from small_experiments import CONFIG, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.stages import Run, make_proxies, retrain, train_adversarial, train_source

HOSTILE = ("<img src=x onerror=alert(1)>.png", "\"quote'.png", "ümläut $x^{.png", "a b&amp;.png")
NAME = "<script>alert(2)<b>"
SCORED = "bookkeeping={log_every: 1, eval_every: 1, checkpoint_every: 2}"

_VOID = {"meta", "link", "img", "br"}


@pytest.fixture(scope="session")
def scored_run(tiny_world, tmp_path_factory):
    """A finished run of the tiny world, scored along the way."""
    folder = tmp_path_factory.mktemp("scored") / "run"
    for stage in (train_source, train_adversarial, make_proxies, retrain):
        stage(Run(load_experiment(CONFIG, [*small_settings(tiny_world, 2), SCORED]), folder))
    return folder


@pytest.fixture(scope="session")
def hostile_run(tiny_world, tmp_path_factory):
    """A finished run on a folder of target images with names that are not nice, and without labels."""
    above = tmp_path_factory.mktemp("hostile")
    pictures = above / "<b> & pictures"
    pictures.mkdir()
    images = sorted((tiny_world / "cityscapes" / "leftImg8bit" / "train").rglob("*.png"))
    for image, name in zip(images, HOSTILE):
        shutil.copy(image, pictures / name)
    target = f"data.target={{dataset: folder, root: '{pictures}'}}"
    settings = [*small_settings(tiny_world, 1), target, "data.val=null", f"name='{NAME}'"]
    for stage in (train_source, train_adversarial, make_proxies, retrain):
        stage(Run(load_experiment(CONFIG, settings), above / "run <i> & 'quoted'"))
    return above / "run <i> & 'quoted'"


class Page(HTMLParser):
    """A page, taken apart: its elements in their order, its text, and what is wrong with its structure."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.wrong, self._open = [], [], [], []
        self.feed(text)
        self.close()
        self.wrong += [f"{tag} is never closed" for tag in self._open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open[-1] != tag:
            self.wrong.append(f"{tag} closes {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data):
        if "style" not in self._open[-1:]:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(path):
    """Read a page and check what holds for every one."""
    page = Page(path.read_text(encoding="utf-8"))
    assert page.wrong == []
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.all("img"))
    assert all({"width", "height"} <= image.keys() for image in page.all("img"))
    assert page.all("script") == []
    assert [attributes for _, attributes in page.elements if any(key.startswith("on") for key in attributes)] == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {link["href"] for link in page.all("a")} <= {f"#{one}" for one in ids}
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert all(one.get("scope") for one in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]
    return page
