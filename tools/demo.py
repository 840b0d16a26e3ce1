"""The whole method on the mini world: Table 3's rows, a table, a picture, and one last line with the gain."""

import statistics
import time
from pathlib import Path

from gluon_madapt.command import ToolParser, experiment_parser, open_run, run_tool
from gluon_madapt.config import load_experiment
from gluon_madapt.data import open_dataset, proxy_path
from gluon_madapt.data.files import read_train_ids
from gluon_madapt.evaluation import predict_labels
from gluon_madapt.evaluation.published import published_ablation
from gluon_madapt.evaluation.tables import text_table
from gluon_madapt.miniworld import make_miniworld
from gluon_madapt.report import picture_strip
from gluon_madapt.stages import ablation
from gluon_madapt.stages.jobs import run_jobs
from gluon_madapt.stages.networks import load_any_segmenter
from gluon_madapt.stages.proxies import LABELS
from gluon_madapt.stages.run import CHECKPOINT, write_json, write_text

ROOT = Path(__file__).resolve().parent.parent
PICTURES = 4


def numbers(length=None):
    """Return a parser of numbers with commas between them, ``length`` of them where that is given."""

    def parse_numbers(text):
        found = [int(one) for one in text.split(",")]
        if min(found) < 0 or (length and len(found) != length):
            raise ValueError
        return found

    parse_numbers.__name__ = f"list of {length or ''} numbers".replace("  ", " ")
    return parse_numbers


def parse(arguments):
    parser = ToolParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "mini" / "gta5.yaml", metavar="FILE")
    parser.add_argument(
        "--seeds", type=numbers(), default=[1], metavar="N[,N...]", help="train once with each (default: 1)"
    )
    parser.add_argument("--data", type=Path, default=Path("data/mini"), metavar="DIR", help="the mini world")
    parser.add_argument(
        "--world",
        type=numbers(4),
        default=[300, 300, 300, 60],
        metavar="N,N,N,N",
        help="its GTA5, SYNTHIA, Cityscapes train and val images (default: 300,300,300,60)",
    )
    parser.add_argument("--run-dir", type=Path, default=Path("runs/demo"), metavar="DIR")
    parser.add_argument("--fresh", action="store_true", help="train anew what was trained before")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    began = time.time()
    if make_miniworld(options.data, 1, *options.world):
        say(began, f"drew the mini world: {options.data}")
    overrides = roots(options)
    scores = [run_seed(options, overrides, seed, began) for seed in options.seeds]
    strip = options.run_dir / "strip.png"
    draw_strip(options, overrides, strip)
    report(options, scores)
    print(f"\npictures: {strip}\nruns: {options.run_dir}")
    before = statistics.mean(one[ablation.SOURCE_ONLY.text] for one in scores)
    after = statistics.mean(one[ablation.ADAPTED.text] for one in scores)
    gain = f"source-only {before:.1f} mIoU -> adapted {after:.1f} mIoU (gain {after - before:.1f})"
    print(f"demo: {gain} in {time.time() - began:.0f} s")


def roots(options):
    """Return the arguments that point the config's datasets at the mini world."""
    data = load_experiment(options.config).data
    trees = {"source": data.source, "target": data.target, "val": data.val}
    settings = [f"data.{which}.root={options.data / tree.dataset}" for which, tree in trees.items()]
    return [word for one in settings for word in ("--set", one)]


def folder_of(options, seed):
    return options.run_dir / f"seed-{seed}"


def run_seed(options, overrides, seed, began):
    """Run every row of the table for one seed, two processes at a time; return mIoU by the rows' texts."""
    folder = folder_of(options, seed)
    arguments = overrides + ["--fresh"] * options.fresh
    jobs = ablation.table_3_jobs(ROOT / "tools", options.config, folder, seed, arguments)

    def on_done(job):
        for row in ablation.rows_of(job, folder):
            say(began, f"seed {seed}  {row.text:<46} {ablation.read_score(row, folder):5.1f} mIoU")

    run_jobs(jobs, workers=2, on_done=on_done)
    return {row.text: ablation.read_score(row, folder) for row in ablation.ROWS}


def report(options, scores):
    """Print the table, and write it as Markdown and JSON."""
    rows = []
    for row in ablation.ROWS:
        values = [one[row.text] for one in scores]
        measured = f"{statistics.mean(values):.1f}"
        if len(values) > 1:
            measured += f" ± {statistics.stdev(values):.1f}"
        rows.append((row.text, measured, f"{published_ablation(*row.published):.1f}" if row.published else "-"))
    heading = f"mini world, seed{'s' * (len(scores) > 1)} {', '.join(map(str, options.seeds))}"
    table = text_table(("mIoU in percent", heading, "paper, GTA5 to Cityscapes"), rows)
    print(f"\n{table}")
    write_text(options.run_dir / "table.md", table + "\n")
    write_json(options.run_dir / "scores.json", {"seeds": options.seeds, "miou": scores})


def draw_strip(options, overrides, path):
    """Draw target training images: before, after, the truth (read here alone) and the proxies."""
    common = ["--config", str(options.config), "--run-dir", str(folder_of(options, options.seeds[0]))]
    run = open_run(experiment_parser("").parse_args(common + overrides))
    nets = [(load_any_segmenter(run, run.folder / stage / CHECKPOINT)[0], stage) for stage in ("source", "retrain")]
    target = run.experiment.data.target
    images = open_dataset(target.dataset, Path(target.root), target.split, run.classes, labelled=True)
    rows = []
    for index in range(0, len(images), max(1, -(-len(images) // PICTURES))):
        image = images.image(index)
        short_sides = run.experiment.evaluation.short_side
        found = [predict_labels(net, image, run.context, getattr(short_sides, stage)) for net, stage in nets]
        proxies = read_train_ids(
            proxy_path(run.folder / "proxies" / LABELS, images.samples[index].name), len(run.classes)
        )
        rows.append((image, *found, images.label(index), proxies))
    columns = ("target image", "before: source only", "after: adapted", "ground truth (for show)", "proxy labels")
    picture_strip(path, columns, rows, run.classes)


def say(began, text):
    seconds = round(time.time() - began)
    print(f"[{seconds // 60:2d}:{seconds % 60:02d}] {text}", flush=True)


if __name__ == "__main__":
    run_tool(main)
