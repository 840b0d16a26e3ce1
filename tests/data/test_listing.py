"""What lies in folders: hidden and system files, letters of either case, kinds that are not read."""

import os

import pytest
from broken_images import encoded, picture
from conftest import opened
from folder_layouts import data, of, put

from gluon_madapt.data import open_dataset
from gluon_madapt.data.layouts import find, find_samples, orphaned_labels
from gluon_madapt.data.listing import files_below
from gluon_madapt.errors import UserError
from gluon_madapt.prediction.inputs import find_sources

HIDDEN = (
    "._a.png",
    ".a.png",
    ".ipynb_checkpoints/a-checkpoint.png",
    ".thumbnails/a.png",
    ".Trash-1000/files/a.png",
    ".AppleDouble/a.png",
    "@eaDir/a.png/SYNOFILE_THUMB_M.png",
    "#recycle/a.png",
    "$RECYCLE.BIN/a.png",
    "__MACOSX/._b.png",
    "__MACOSX/b.png",
    "System Volume Information/a.png",
    "lost+found/a.png",
    "@Recycle/a.png",
    "Thumbs.db",
    "desktop.ini",
    ".DS_Store",
    "~$a.png",
    "a.png.partial",
    "b.png.partial",
)
NOT_READ = (
    "a.heic",
    "b.HEIF",
    "c.avif",
    "d.gif",
    "e.jp2",
    "f.psd",
    "g.svg",
    "h.pdf",
    "i.npy",
    "j.CR2",
    "k.dng",
    "l.jxl",
)


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_and_system_files_are_no_samples_and_no_labels_in_any_layout(layout, name):
    root, dataset, image, label, _ = layout
    before = of(root, dataset)
    for folder in (image("a").parent, image("a").parent.parent, label("a").parent):
        end = name.replace(".png", image("a").name[1:])
        put(folder / name)
        put(folder / end)
    assert of(root, dataset) == before
    settings = {"labels": str(root.parent / "labels")} if dataset == "folder" else {}
    assert orphaned_labels(data(dataset, root, **settings)) == []
    assert str(find(data(dataset, root, **settings)).left_out) == ""


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("word", ["", "**", "**/*.png", "*", "*/*"])
def test_hidden_and_system_files_are_not_predicted(tmp_path, name, word):
    root = tmp_path / "in"
    put(root / "b.png")
    put(root / "c" / "d.png")
    found = [one.path for one in find_sources([str(root / word)])]
    put(root / name)
    put(root / "c" / name)
    assert [one.path for one in find_sources([str(root / word)])] == found


def test_a_folder_with_a_hidden_name_may_be_named_itself(tmp_path):
    put(tmp_path / ".data" / "x" / "a.png")
    put(tmp_path / ".data" / ".b.png")
    assert [one.name for one in opened("folder", tmp_path / ".data").samples] == ["x/a.png"]
    assert [one.name for one in find_sources([str(tmp_path / ".data")])] == ["x/a"]
    assert [one.name for one in find_sources([str(tmp_path / ".d*" / "x" / "*.png")])] == [".data/x/a"]
    assert [one.name for one in find_sources([str(tmp_path / ".data" / ".b.png")])] == [".b"], "named as a file"


def test_a_folder_that_cannot_be_read_is_an_error_not_a_folder_without_images(tmp_path, monkeypatch):
    put(tmp_path / "a" / "b.png")
    put(tmp_path / "c.png")
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("gluon_madapt.data.listing.os.scandir", refusing)
    with pytest.raises(UserError, match=r"/a: cannot be read \(Permission denied\)"):
        files_below(tmp_path)


def test_the_case_of_a_file_type_does_not_matter_in_any_layout(layout):
    root, dataset, image, label, _ = layout
    upper = image("b").with_suffix(".PNG")
    put(upper)
    put(label("b"))
    put(image("c"))
    put(label("c").with_suffix(".Png"))
    put(label("d").with_suffix(".PNG"))
    settings = {"labels": str(root.parent / "labels")} if dataset == "folder" else {}
    samples = find_samples(data(dataset, root, **settings))
    assert [one.image for one in samples] == [image("a"), upper, image("c")]
    found = [os.path.realpath(one.label) for one in samples]
    assert found == [*map(os.path.realpath, (label("a"), label("b"), label("c").with_suffix(".Png")))]
    assert [path.name for path in orphaned_labels(data(dataset, root, **settings))] == [
        label("d").with_suffix(".PNG").name
    ]


def test_two_labels_that_differ_in_case_alone_are_refused_by_name(layout):
    root, dataset, _, label, _ = layout
    put(label("a").with_suffix(".PNG"))
    with pytest.raises(UserError, match=r"\.PNG and .*\.png: either could be the label of .*a"):
        of(root, dataset)


@pytest.mark.parametrize(
    ("suffix", "taken", "said"),
    [
        (".jpg", ["a.jpg", "b.JPG", "c.Jpg"], "1 images that are not named *.jpg (d_rgb.PNG)"),
        ("_rgb.png", ["d_rgb.PNG"], "3 images that are not named *_rgb.png (a.jpg, b.JPG, c.Jpg)"),
        ("", ["a.jpg", "b.JPG", "c.Jpg", "d_rgb.PNG"], ""),
    ],
)
def test_images_are_told_by_their_suffix_and_the_others_named(tmp_path, suffix, taken, said):
    for name in ("a.jpg", "b.JPG", "c.Jpg", "d_rgb.PNG", "notes.txt"):
        put(tmp_path / name)
    found = find(data("folder", tmp_path, image_suffix=suffix))
    assert [one.name for one in found.samples] == taken
    assert str(found.left_out).replace(f"{tmp_path}/", "") == said


@pytest.mark.parametrize("name", NOT_READ)
def test_kinds_that_are_not_read_are_named_and_counted(layout, name, caplog):
    root, dataset, image, _, above = layout
    put(image("a").parent / name)
    settings = {"labels": str(root.parent / "labels")} if dataset == "folder" else {}
    kind = os.path.splitext(name)[1].lower()  # noqa: PTH122
    said = f"1 of kind {kind}, which is not read ({image('a').parent / name})"
    assert str(find(data(dataset, root, **settings)).left_out) == said
    assert len(find_sources([str(root)])) > 0
    assert f"warning: {root}: left out: {said}" in caplog.text


def test_images_where_a_layout_has_none_are_named(tmp_path):
    put(tmp_path / "images" / "a.png")
    put(tmp_path / "images" / "part 2" / "b.png")
    put(tmp_path / "images" / "c.jpg")
    said = str(find(data("gta5", tmp_path)).left_out)
    assert "1 images in folders where this data set has none" in said
    assert "1 images that are not named *.png" in said


def test_what_was_left_out_is_said_where_nothing_is_left(tmp_path):
    put(tmp_path / "a.heic")
    put(tmp_path / "b.HEIC")
    with pytest.raises(UserError, match=r"holds no images .*; left out: 2 of kind \.heic, which is not read \("):
        open_dataset(data("folder", tmp_path))
    with pytest.raises(UserError, match=r"holds no images .*; left out: 2 of kind \.heic, which is not read \("):
        find_sources([str(tmp_path)])
    with pytest.raises(UserError, match=r"matches no images .*; left out: 1 of kind \.heic"):
        find_sources([str(tmp_path / "*.heic")])


PAIRS = {
    "suffixes of their own": ({"image_suffix": "_rgb.png", "label_suffix": "_ids.png"}, "{}_rgb.png", "{}_ids.png"),
    "a label suffix alone": ({"label_suffix": "_ids.png"}, "{}.png", "{}_ids.png"),
    "an image suffix alone": ({"image_suffix": "_rgb.png"}, "{}_rgb.png", "{}.png"),
    "another file type": ({}, "{}.jpg", "{}.png"),
    "suffixes of either case": ({"image_suffix": "_rgb.png", "label_suffix": "_ids.png"}, "{}_rgb.PNG", "{}_ids.Png"),
}


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("where", ["beside", "below", "link"])
def test_labels_may_lie_among_the_images_and_are_none(tmp_path, kind, where):
    settings, image, label = PAIRS[kind]
    root = tmp_path / "root"
    labels = root / "labels" if where == "below" else root
    for name in ("a", "deep/b"):
        put(root / image.format(name), encoded(picture(4, 6)))
        put(labels / label.format(name), encoded(picture(4, 6)[:, :, 0]))
    if where == "link":
        (tmp_path / "labels").symlink_to(root)
        labels = tmp_path / "labels"
    found = find(data("folder", root, labels=str(labels), **settings))
    assert [one.name for one in found.samples] == [image.format("a"), image.format("deep/b")]
    assert all(one.label.is_file() and one.label.name == label.format(one.image.name[0]) for one in found.samples)
    assert str(found.left_out) == ""
    assert orphaned_labels(data("folder", root, labels=str(labels), **settings)) == []
    if kind == "another file type" and where != "below":  # then it could be an image as well
        return
    put(labels / label.format("c"))
    orphans = orphaned_labels(data("folder", root, labels=str(labels), **settings))
    assert [path.name for path in orphans] == [label.format("c")]


def test_an_image_is_never_its_own_label(tmp_path):
    put(tmp_path / "a.png")
    with pytest.raises(
        UserError, match=r"a\.png: would be its own label \(1 such in all\).*set image_suffix and label_suf"
    ):
        of(tmp_path, "folder", labels=str(tmp_path))
