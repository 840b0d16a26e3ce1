"""The report's page in a real browser: nothing broken, nothing cut off, on a desk and on a phone."""

import shutil

import numpy as np
import pytest
from conftest import ROOT

from gluon_madapt.labels import ClassSet
from gluon_madapt.report.classes import coverage_by_class, iou_by_class, legend_of
from gluon_madapt.report.examples import Segmented
from gluon_madapt.report.facts import facts_of, stored_run
from gluon_madapt.report.figure_files import FigureFolder
from gluon_madapt.report.figures import figure_5
from gluon_madapt.report.page import Group, page, report_of_folder, write_report
from gluon_madapt.report.run_section import run_section
from gluon_madapt.report.scored import Scored
from gluon_madapt.report.stored import Scores
from gluon_madapt.report.versions import Setting, SettingGroup
from gluon_madapt.stages import Run

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install -e '.[dev]'")

BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
NO_BROWSER = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no browser here: apt-get install chromium chromium-driver"
)
pytestmark = [pytest.mark.slow, NO_BROWSER]

# What reaches beyond the window, but for what can be scrolled to; and text that is cut off.
CUT_OFF = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  const hidden = getComputedStyle(one).overflowX == 'hidden' && one.scrollWidth > one.clientWidth;
  return hidden || (!one.closest('.scroll') && (box.right > width + 1 || box.left < -1));
}).map(one => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 60)}`);
"""
NOT_LOADED = "return [...document.images].filter(one => !one.complete || !one.naturalWidth).map(one => one.alt);"
# Layout that moves once pictures are there: the page is as high without them as with them.
HEIGHT = "return document.documentElement.scrollHeight;"


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def class_set_of(number):
    names = ["a class with a very long name that nobody would want to read " * 2, "Donaudampfschifffahrt" * 4, "<b>&"]
    names += [f"class {index}" for index in range(3, number)]
    palette = np.random.default_rng(0).integers(0, 256, (number, 3)).astype(np.uint8)
    return ClassSet(tuple(names[:number]), palette, {})


def page_with_classes(number, folder, out):
    """Write a run's page as if it had other classes: their legend, tables, bars and maps."""
    classes, album, rng = class_set_of(number), FigureFolder(out.with_suffix("")), np.random.default_rng(number)
    facts = facts_of(stored_run(folder))
    iou = dict.fromkeys(classes.names, 12.3)
    scored = [
        [Scored(stage, Scores(miou=12.3, iou=iou), "", None, folder, True) for stage in ("source", "retrain")],
        [Scored("source", Scores(miou=10.0, iou=dict(iou, **{classes.names[0]: None})), "", None, folder, True)],
    ]
    pixels = {name: 10**index for index, name in enumerate(classes.names[:9])}
    record = facts.proxies.model_copy(
        update={"pixels_focused_by_class": pixels, "pixels_kept_by_class": dict(pixels, **{classes.names[1]: 0})}
    )
    labels = np.kron(rng.integers(0, number, (4, 8)), np.ones((32, 32))).astype(np.uint8)
    image = Segmented("image " * 40, np.zeros((128, 256, 3), np.uint8), {"source": labels, "retrain": labels}, labels)
    with pytest.MonkeyPatch.context() as patch:
        section = run_section("mini", [facts.run], album)
        patch.setattr(Run, "classes", property(lambda run: classes))
        section = section._replace(
            legend=legend_of(classes),
            figure_5=figure_5([image], classes, album),
            iou=iou_by_class(scored, classes, album),
            coverage=coverage_by_class(facts._replace(proxies=record), album),
            figure_6=[],
            settings=[SettingGroup("a", [Setting("a.setting_with_a_long_name." * 3, "1", "source, adversarial")])],
        )
    out.write_text(page("Other classes", [], [section], [], str(album.folder)), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def pages(scored_run, hostile_run, audited, tmp_path_factory):
    """Pages to look at, by what is special about them."""
    folder = tmp_path_factory.mktemp("pages")
    begun = folder / ("a long name " * 12).strip()
    shutil.copytree(scored_run / "source", begun / "source")
    stored = ROOT / "docs" / "results" / "mini-tables"
    tables = [stored / "world-1" / f"table-{number}.json" for number in (1, 2, 3, 4)]
    run = stored_run(scored_run)
    return {
        "finished": write_report(folder / "finished.html", "Tables", [Group("mini", [run, run])], tables),
        "hostile": report_of_folder(hostile_run, folder / "<i>hostile's #1 page?.html"),
        "begun": report_of_folder(begun),
        "audited": report_of_folder(audited, folder / "audited.html"),
        "3 classes": page_with_classes(3, scored_run, folder / "three.html"),
        "60 classes": page_with_classes(60, scored_run, folder / "sixty.html"),
    }


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["finished", "hostile", "begun", "audited", "3 classes", "60 classes"])
def test_nothing_is_broken_or_cut_off(browser, pages, which, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(pages[which].as_uri())
    assert browser.get_log("browser") == []
    assert browser.execute_script(NOT_LOADED) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(CUT_OFF) == []
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true;")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(CUT_OFF) == []


def test_pictures_do_not_move_the_page_when_they_come(browser, pages):
    browser.get(pages["finished"].as_uri())
    loaded = browser.execute_script(HEIGHT)
    browser.execute_script("for (const one of document.images) one.src = 'data:image/png;base64,';")
    assert browser.execute_script(HEIGHT) == loaded
