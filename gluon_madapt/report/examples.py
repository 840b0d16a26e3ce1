"""Chooses images to show, and gathers what the networks make of them (P Fig. 5 and 6)."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from gluon_madapt.data import Dataset, is_same
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation import predict_labels
from gluon_madapt.evaluation.adabn import under_current_name
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import read_json
from gluon_madapt.labels import IGNORE
from gluon_madapt.proxies import choose
from gluon_madapt.proxy_maps.cache import MapCache
from gluon_madapt.proxy_maps.network_pass import open_cache
from gluon_madapt.proxy_maps.proxy_set import thresholds_of
from gluon_madapt.proxy_maps.scored_maps import scored_blocks
from gluon_madapt.report.facts import RunFacts
from gluon_madapt.run_layout import CACHE, METRICS, PROXY_RECORD
from gluon_madapt.runs.rounds import round_of
from gluon_madapt.runs.run import Run
from gluon_madapt.runs.trained import load_any_segmenter

NUMBER = 4


class Segmented(NamedTuple):
    """An image of P Figure 5.

    Attributes
    ----------
    name : str
        Its path, relative to the images.
    image : np.ndarray
        (H, W, 3) uint8 RGB.
    maps : dict of str to np.ndarray
        By stage, (H, W) uint8 train ids.
    truth : np.ndarray, optional
        Likewise.
    """

    name: str
    image: np.ndarray
    maps: Dict[str, np.ndarray]
    truth: Optional[np.ndarray]

    def right(self, stage: str) -> Optional[float]:
        """Return the share of pixels with a known truth that a stage's model gets right."""
        if self.truth is None:
            return None
        known = self.truth != IGNORE
        return float((self.maps[stage] == self.truth)[known].mean()) if known.any() else None

    @property
    def agreement(self) -> Optional[float]:
        """The share of pixels on which the models before and after agree."""
        maps = list(self.maps.values())
        return float((maps[0] == maps[-1]).mean()) if len(maps) > 1 else None


class Example(NamedTuple):
    """One image of a target set.

    Attributes
    ----------
    image : np.ndarray
        (H, W, 3) uint8 RGB.
    confidence : np.ndarray
        Its adversarial confidence, (H, W) float32.
    without, proxies : np.ndarray
        (H, W) uint8 train ids: what the classifier alone would label, and the proxy labels.
    """

    image: np.ndarray
    confidence: np.ndarray
    without: np.ndarray
    proxies: np.ndarray

    @property
    def dropped(self) -> np.ndarray:
        """Where the discriminators drop what the classifier alone would label, (H, W) bool."""
        return (self.without != IGNORE) & (self.proxies == IGNORE)


class Focused(NamedTuple):
    """An image of P Figure 6: its name, and what both criteria make of it."""

    name: str
    example: Example


def check_wanted(run: Run, wanted: Sequence[str]) -> None:
    """Refuse names and numbers of images that there are not.

    Raises
    ------
    UserError
        If one is in no data set.
    """
    sets = [opened for opened in (_opened(run, which) for which in ("val", "target")) if opened is not None]
    if not sets:
        return
    for one in wanted:
        if not any(_places(dataset, [one]) for dataset in sets):
            most = max(len(dataset) for dataset in sets)
            like = sets[0].samples[0].name
            raise UserError(f"--images {one}: no such image: expected 0 to {most - 1}, or a name such as {like}")


def segmented(facts: RunFacts, wanted: Sequence[str]) -> List[Segmented]:
    """Segment the images of Figure 5, of the val split if there is one, by the models that there are.

    Raises
    ------
    UserError
        If there are no models, images or files that can be read.
    """
    run = facts.run.anywhere()
    stages = [stage for stage in ("source", "retrain") if facts.stages[stage].finished]
    if not stages:
        return []
    labelled = run.experiment.data.val is not None
    dataset = run.dataset("val", labelled=True) if labelled else run.dataset("target", labelled=False)
    short_sides = run.experiment.evaluation.short_side
    nets = {stage: load_any_segmenter(run, facts.stages[stage].checkpoint)[0] for stage in stages}
    found = []
    for index in _chosen(dataset, wanted):
        image = dataset.image(index)
        try:
            maps = {
                stage: predict_labels(net, image, run.context, getattr(short_sides, stage))
                for stage, net in nets.items()
            }
        except (ValueError, UserError) as error:
            raise UserError(f"{dataset.samples[index].image}: {error}") from None
        found.append(Segmented(dataset.samples[index].name, image, maps, dataset.label(index) if labelled else None))
    return found


def focused(facts: RunFacts, wanted: Sequence[str]) -> List[Focused]:
    """Return the images of Figure 6, from the maps that the proxies were made from.

    Raises
    ------
    UserError
        If the maps are gone or are others.
    """
    record, maps, target = stored_maps(facts.run, cache_of(facts))
    return [
        Focused(target.samples[index].name, example_of(maps, target, record, index))
        for index in _chosen(target, wanted)
    ]


def stored_maps(run: Run, cache: Optional[Path] = None) -> Tuple[Dict, MapCache, Dataset]:
    """Return what proxies.json says, the maps that the proxies were made from, and their images.

    Raises
    ------
    UserError
        If there are no proxies, or no maps that are those that they were made from.
    """
    folder = run.folder / "proxies"
    if not (folder / PROXY_RECORD).is_file():
        raise UserError(
            f"{folder / PROXY_RECORD}: missing, so there are no proxies yet: make them with {run.command('proxies')}"
        )
    record, target = read_json(folder / PROXY_RECORD), run.dataset("target", labelled=False)
    if (folder / METRICS).is_file():
        target = target.without(read_json(folder / METRICS).get("left_out", ()))
    start = round_of(run.experiment).labeller(run)
    inputs = {"checkpoint": sha256(start), "images": target.fingerprint}
    maps = open_cache(run, start, target, cache or run.folder / CACHE, inputs)
    made_from = under_current_name(record.get("made_from", {}))
    if not is_same(made_from, maps.made_from) or run.changes_of_inputs("proxies", inputs):
        raise UserError(
            f"{folder / PROXY_RECORD}: these proxies were made from something else than {maps.folder} would be now"
        )
    return record, maps, target


def example_of(maps: MapCache, target: Dataset, record: Dict, index: int) -> Example:
    """Return one image with what both criteria make of it."""
    found, confidences, choices = thresholds_of(record), [], []
    for _, probabilities, confidence in scored_blocks(maps.read(index)):
        confidences.append(confidence)
        choices.append(choose(probabilities, confidence, found))
    without = [np.where(one.sure, one.best, IGNORE).astype(np.uint8) for one in choices]
    proxies = [one.labels for one in choices]
    return Example(target.image(index), *map(np.concatenate, (confidences, without, proxies)))


def cache_of(facts: RunFacts) -> Path:
    """Return the folder of the network pass: that of the run whose model it was."""
    own = facts.run.folder / CACHE
    ((labelling, _),) = round_of(facts.run.experiment).before("proxies")
    return own if own.is_dir() else facts.stages[labelling].folder.parent / CACHE


def _opened(run: Run, which: str) -> Optional[Dataset]:
    try:
        return run.dataset(which, labelled=which == "val")
    except UserError:
        return None


def _chosen(dataset: Dataset, wanted: Sequence[str]) -> List[int]:
    """Return the places of the wanted images that are in a data set, or of a few, spread evenly."""
    places = _places(dataset, wanted)
    if places:
        return places
    number = min(NUMBER, len(dataset))
    return [(2 * place + 1) * len(dataset) // (2 * number) for place in range(number)]


def _places(dataset: Dataset, wanted: Sequence[str]) -> List[int]:
    names: Dict[str, int] = {sample.name: place for place, sample in enumerate(dataset.samples)}
    for name, place in list(names.items()):
        names.setdefault(Path(name).name, place)
    found: List[Tuple[str, Optional[int]]] = [(one, names.get(one)) for one in wanted]
    places = [int(one) if place is None and one.isdecimal() else place for one, place in found]
    return [place for place in dict.fromkeys(places) if place is not None and place < len(dataset)]
