"""Names the rows of the paper's Tables 1 to 4, and what to run for each."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from gluon_madapt.config import Experiment, load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.published import published_tables

# The published experiments that make up each table.
CONFIGS = {
    1: ("gta5_vgg16", "gta5_resnet101"),
    2: ("synthia_vgg16", "synthia_resnet101"),
    3: ("gta5_resnet101",),
    4: ("gta5_resnet101",),
}
TITLES = {
    1: "Table 1: GTA5 to Cityscapes",
    2: "Table 2: SYNTHIA to Cityscapes",
    3: "Table 3: what each module adds",
    4: "Table 4: the shares p1 and p2",
}
# Tables 1 and 2 by their data: the key of the published table.
PER_CLASS = {1: "gta5_to_cityscapes", 2: "synthia_to_cityscapes"}
_SOURCES = {1: "gta5", 2: "synthia"}

# Settings that say where things are and how they are watched.
_NO_MATTER = ("name", "devices", "repeatable_sums", "seed", "root", "threads", "weights", "_every")

# What all rows of the tables are of.
_OF_THE_PAPER = {
    "adversarial.align": "features",
    "proxies.model": "adversarial",
    "retrain.learns_from": "proxies",
    "retrain.rounds": 1,
}

SOURCE_ONLY = "source only"
ADAPTED = "two discriminators, proxies"
ONE = "one discriminator"
CONTROL = "control: adversarial weights 0"
CONTROL_PROXIES = "control: adversarial weights 0, proxies"
# Ends the text of a row of another method.
MEASURED = "measured here"
# AdaBN before scoring, and before stage 3.
ADABN, _ADABN_PROXIES = "AdaBN", "proxies after AdaBN"

# What earlier versions called parts of a row's text, and the folders of variants.
_FORMER_TEXTS = {
    "statistics refreshed on target": ADABN,
    "statistics refreshed": ADABN,
    "proxies of refreshed statistics": _ADABN_PROXIES,
}
FORMER_VARIANTS = {
    "adabn_score": "refreshed_statistics",
    "adabn_proxies": "refreshed_proxies",
    "adabn_both": "refreshed_throughout",
}


class Row(NamedTuple):
    """A row that this project can fill.

    Parameters
    ----------
    text : str
        Its name in the table.
    stage : str
        The stage whose model is scored.
    variant : str
        The file of configs/ablations/ with what differs from the experiment; none if "".
    multi_scale : bool
        How it is scored.
    number : int
        The round of proxies.
    published : dict, optional
        What the paper prints: ``miou``, and in Tables 1 and 2 ``iou`` by class and ``miou13``.
    """

    text: str
    stage: str
    variant: str = ""
    multi_scale: bool = False
    number: int = 1
    published: Optional[Dict] = None


def rows_of(table: int, experiment: Experiment, beyond: bool = False) -> List[Row]:
    """Return the rows of a table that an experiment fills; ``beyond`` adds to Table 3 what goes beyond the paper.

    Raises
    ------
    UserError
        If the experiment is not one that the rows' names are true of.
    """
    if beyond and table != 3:
        raise UserError("--beyond adds rows to table 3: give --table 3")
    require(table, experiment, _OF_THE_PAPER)
    if table in PER_CLASS:
        return _per_class_rows(table, experiment)
    own = experiment.data.source.dataset == "folder"  # then there is nothing published to set the rows beside
    required = {} if own else {"data.source.dataset": "gta5"}
    require(table, experiment, {**required, "adversarial.discriminators": 2, "evaluation.adabn_batches": 0})
    if not (experiment.adversarial.lambda_1 and experiment.adversarial.lambda_2):
        raise UserError(f"table {table} sets adversarial.lambda_1 and lambda_2 to 0 itself: expected others than 0")
    rows = _module_rows() if table == 3 else _proportion_rows()
    rows += _rows_beyond() if beyond else []
    of_the_paper = backbone_of(experiment) == "resnet101" and not own
    return rows if of_the_paper else [row._replace(published=None) for row in rows]


def current_text(text: str) -> str:
    """Return a row's text, or a part of one, in the words of now."""
    for former, now in _FORMER_TEXTS.items():
        text = text.replace(former, now)
    return text


def departures(table: int, experiment: Experiment, root: Path) -> List[str]:
    """Return the settings in which an experiment differs from the paper's, as far as they decide a result."""
    domain = "synthia" if table == 2 else "gta5"
    papers = load_experiment(root / "configs" / f"{domain}_{backbone_of(experiment)}.yaml")
    ours, theirs = _flat(experiment.model_dump()), _flat(papers.model_dump())
    return [key for key in theirs if ours.get(key) != theirs[key] and not key.endswith(_NO_MATTER)]


def backbone_of(experiment: Experiment) -> str:
    """Return the network of the paper that an experiment's results are set beside.

    The mini world's small encoder has no numbers in the paper: it is set beside the larger of the two.
    """
    return "vgg16" if experiment.model.encoder == "vgg16" else "resnet101"


def _flat(values: Dict, prefix: str = "") -> Dict:
    """Return a section with full keys; an absent section counts as one value."""
    flat = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def require(table: int, experiment: Experiment, expected: Dict) -> None:
    """Refuse an experiment whose settings, by their full keys, are others than the rows of a table have them."""
    for key, value in expected.items():
        found = experiment
        for part in key.split("."):
            found = getattr(found, part)
        if found != value:
            raise UserError(
                f"table {table} is {TITLES[table].split(': ')[1]}, with {key} = {value}: experiment {experiment.name} "
                f"has {found}: give another --config or --table"
            )


def _per_class_rows(table: int, experiment: Experiment) -> List[Row]:
    classes = len(published_tables()[PER_CLASS[table]]["classes"])
    require(table, experiment, {"data.source.dataset": _SOURCES[table], "classes": classes})
    backbone = backbone_of(experiment)
    multi_scale = backbone == "resnet101"  # the released code's protocol for 'ours'
    published = {method: _published_row(table, method, backbone) for method in ("source only", "this paper")}
    adapted = "adapted, multi-scale" if multi_scale else "adapted"
    return [
        Row(SOURCE_ONLY, "source", published=published["source only"]),
        Row(adapted, "retrain", multi_scale=multi_scale, published=published["this paper"]),
    ]


def _published_row(table: int, method: str, backbone: str) -> Dict:
    wanted = {"method": method, "backbone": backbone, "reported_by": "this paper"}
    printed = published_tables()[PER_CLASS[table]]
    (row,) = [one for one in printed["rows"] if wanted.items() <= one.items()]
    return dict(row, iou=dict(zip(printed["classes"], row["iou"])))


def _module_rows() -> List[Row]:
    def printed(discriminators: int, proxy: bool = False, multi_scale: bool = False) -> Dict:
        wanted = {"discriminators": discriminators, "proxy": proxy, "multi_scale": multi_scale}
        (row,) = [one for one in published_tables()["ablation_modules"]["rows"] if wanted.items() <= one.items()]
        return row

    alone, control, control_adabn = "one_discriminator", "no_adversary", "no_adversary_adabn_score"
    return [
        Row(SOURCE_ONLY, "source", published=printed(0)),
        Row(f"{SOURCE_ONLY}, {ADABN}", "source", "adabn_score"),
        Row(CONTROL, "adversarial", control),
        Row(f"{CONTROL}, {ADABN}", "adversarial", control_adabn),
        Row(ONE, "adversarial", alone, published=printed(1)),
        Row("two discriminators", "adversarial", published=printed(2)),
        Row(f"two discriminators, {ADABN}", "adversarial", "adabn_score"),
        Row(CONTROL_PROXIES, "retrain", control),
        Row(f"{CONTROL_PROXIES}, {ADABN}", "retrain", control_adabn),
        Row(f"{ONE}, proxies", "retrain", alone, published=printed(1, proxy=True)),
        Row(ADAPTED, "retrain", published=printed(2, proxy=True)),
        Row(f"{ADAPTED}, {ADABN}", "retrain", "adabn_score"),
        Row(f"{ADAPTED}, multi-scale", "retrain", multi_scale=True, published=printed(2, True, True)),
    ]


def _rows_beyond() -> List[Row]:
    return [
        Row(f"{CONTROL}, {_ADABN_PROXIES}, {ADABN}", "retrain", "no_adversary_adabn_both"),
        Row(f"two discriminators, {_ADABN_PROXIES}", "retrain", "adabn_proxies"),
        Row(f"two discriminators, {_ADABN_PROXIES}, {ADABN}", "retrain", "adabn_both"),
        Row(f"{ADAPTED}, round 2", "retrain", number=2),
        Row(f"{ADAPTED}, round 3", "retrain", number=3),
    ]


def _proportion_rows() -> List[Row]:
    rows = [
        Row(f"p1 {row['p1']}, p2 {row['p2']}", "retrain", f"p1_{row['p1']}_p2_{row['p2']}", published=row)
        for row in published_tables()["ablation_proportions"]["rows"]
    ]
    return [*rows, Row(CONTROL_PROXIES, "retrain", "no_adversary")]
