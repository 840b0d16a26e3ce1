"""The demo at a size that takes seconds: every row of its table, the picture, the last line."""

import json
import re
import subprocess
import sys

import cv2
import pytest
from conftest import ROOT
from small_experiments import CONFIG, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.miniworld import make_miniworld

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    make_miniworld(folder / "world", seed=1, gta5=6, synthia=0, train=3, val=2)
    experiment = load_experiment(CONFIG, small_settings(folder / "world", iterations=2))
    (folder / "tiny.yaml").write_text(experiment.to_yaml())
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--config", "tiny.yaml", "--data", "world"]
    command += ["--world", "6,2,3,2"]
    return folder, subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_it_ends_with_the_table_and_the_gain(demo):
    folder, done = demo
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.strip().splitlines()
    found = re.fullmatch(
        r"demo: source-only (.+) mIoU -> adapted (.+) mIoU \(gain (\S+), over \d+ of 19 classes\) in \d+ s", last
    )
    rows = json.loads((folder / "runs" / "demo" / "tables" / "table-3.json").read_text())["rows"]
    means = {row["row"]: row["reproduced"].get("miou", {}).get("mean") for row in rows}
    assert found.group(1) == f"{means['source only']:.1f}"
    assert found.group(2) == f"{means['two discriminators, proxies']:.1f}"
    control = "control: adversarial weights 0"
    left_out = {f"{control}, AdaBN", f"{control}, proxies", f"{control}, proxies, AdaBN"}
    left_out |= {"one discriminator", "one discriminator, proxies"}
    assert {row for row, mean in means.items() if mean is None} == left_out
    for text in means:
        assert f"| {text} " in done.stdout


def test_it_draws_the_tree_that_it_does_not_need(demo):
    folder, _ = demo
    assert json.loads((folder / "world" / "miniworld.json").read_text())["synthia"] == 2
    assert len(list((folder / "world" / "synthia" / "RGB").iterdir())) == 2
    assert not make_miniworld(folder / "world", seed=1, gta5=6, synthia=2, train=3, val=2)


def test_it_leaves_a_page_and_pictures(demo):
    folder, done = demo
    assert "to look at: runs/demo/report.html" in done.stdout
    page = (folder / "runs" / "demo" / "report.html").read_text(encoding="utf-8")
    assert "two discriminators, proxies" in page
    picture = cv2.imread(str(folder / "runs" / "demo" / "report" / "figure-5.png"))
    assert picture.shape[1] > 1000
    assert picture.std() > 20
