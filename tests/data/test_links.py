"""Links among the folders and files of a data set: followed once each, or refused by name."""

import os

import pytest
from conftest import opened
from folder_layouts import data, of, put

from gluon_madapt.data.layouts import find, find_samples, orphaned_labels
from gluon_madapt.data.listing import files_below
from gluon_madapt.errors import UserError
from gluon_madapt.prediction.inputs import find_sources


def test_linked_folders_are_followed_in_every_layout(layout, tmp_path):
    root, dataset, image, label, above = layout
    folder = image("a").parent
    moved = tmp_path / "disk"
    folder.rename(moved)
    folder.symlink_to(moved)
    assert len(of(root, dataset)) == 1
    assert of(root, dataset)[0].endswith(image("a").name)
    labels = label("a").parent
    labels.rename(tmp_path / "labels disk")
    labels.symlink_to(tmp_path / "labels disk")
    put(label("b"))
    settings = {"labels": str(root.parent / "labels")} if dataset == "folder" else {}
    assert [path.name for path in orphaned_labels(data(dataset, root, **settings))] == [label("b").name]


def tree(root, files, links):
    for name in files:
        put(root / name)
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(os.path.relpath(root / target, (root / name).parent))
    return root / "in"


@pytest.mark.parametrize(
    ("files", "links", "expected"),
    [
        (["in/a.png", "out/b.png"], {"in/link": "out"}, ["a.png", "link/b.png"]),
        (["in/a.png", "out/b.png", "far/c.png"], {"in/l": "out", "out/x": "far"}, ["a.png", "l/b.png", "l/x/c.png"]),
        (["out/b.png"], {"in/one": "out", "in/two": "out"}, ["one/b.png"]),
        (["in/z/b.png"], {"in/a": "in/z"}, ["z/b.png"]),
        (["in/z/y/b.png"], {"in/a": "in/z/y"}, ["z/y/b.png"]),
        (["out/x/b.png", "out/c.png"], {"in/a": "out/x", "in/b": "out"}, ["a/b.png", "b/c.png"]),
        (["in/.store/b.png"], {"in/a": "in/.store"}, ["a/b.png"]),
        (["in/.store/b.png"], {"in/a.png": "in/.store/b.png"}, ["a.png"]),
        (["in/a.png"], {"in/b.png": "in/a.png"}, ["a.png", "b.png"]),
        (["in/x.png/a.png"], {"in/y.png": "in/x.png"}, ["x.png/a.png"]),
        (["in/a.png"], {"in/gone.png": "nowhere"}, ["a.png", "gone.png"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("words", ["", "**", "**/*.png"])
def test_links_are_followed_once_each(tmp_path, files, links, expected, words):
    root = tree(tmp_path, files, links)
    assert [one.name for one in find_samples(data("folder", root))] == expected
    assert [one.path.relative_to(root).as_posix() for one in find_sources([str(root / words)])] == expected


def test_a_root_that_is_a_link_is_as_good_as_its_target(tmp_path):
    root = tree(tmp_path, ["real/a/b.png"], {"in": "real", "real/c": "real/a"})
    assert [path.relative_to(root).as_posix() for path in files_below(root)] == ["a/b.png"]


@pytest.mark.parametrize(
    ("links", "named"),
    [
        ({"in/x/loop": "in"}, "x/loop"),
        ({"in/x/loop": "in/x"}, "x/loop"),
        ({"in/x/loop": "."}, "x/loop"),
        ({"in/x/to": "in/y", "in/y/fro": "in/x"}, "y/fro"),
        ({"in/x/to": "out", "out/fro": "in/x"}, "x/to/fro"),
        ({"in/x/to": "out", "out/self": "out"}, "x/to/self"),
        ({"in/x/to": "out/deep", "out/deep/up": "out"}, "x/to/up"),
    ],
)
def test_a_link_that_leads_back_is_refused_by_name(tmp_path, links, named):
    root = tree(tmp_path, ["in/x/a.png", "in/y/a.png", "out/b.png", "out/deep/c.png"], links)
    for attempt in (
        lambda: opened("folder", root),
        lambda: find_sources([str(root)]),
        lambda: find_sources([f"{root}/**"]),
    ):
        with pytest.raises(UserError, match=rf"in/{named}: is a link to .*, which it lies in: remove it"):
            attempt()


def test_links_that_lead_to_each_other_are_links_that_lead_nowhere(tmp_path):
    root = tree(tmp_path, ["in/a.png"], {"in/x": "in/y", "in/y": "in/x", "in/disk": "unmounted"})
    assert of(root, "folder") == ["a.png"]
    assert str(find(data("folder", root)).left_out).startswith("3 links that lead nowhere (")
