"""Score a model on the labelled split: IoU per class and mIoU."""

from pathlib import Path

from gluon_madapt.command import experiment_parser, open_run, run_tool
from gluon_madapt.evaluation.tables import score_table
from gluon_madapt.stages.networks import load_any_segmenter
from gluon_madapt.stages.run import write_json
from gluon_madapt.stages.scoring import score_stage

STAGES = ("source", "adversarial", "retrain")


def main(arguments):
    parser = experiment_parser(__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stage", choices=STAGES, help="the run's checkpoint to score (default: the last stage's)")
    which.add_argument("--checkpoint", type=Path, metavar="FILE", help="a checkpoint or a parameter file to score")
    parser.add_argument("--multi-scale", action="store_true", help="average over evaluation.scales and mirrored copies")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the scores there, too")
    parsed = parser.parse_args(arguments)
    run = open_run(parsed)
    path = parsed.checkpoint or run.checkpoint_of(parsed.stage or run.last_stage(STAGES))
    net, stage = load_any_segmenter(run, path)
    scores = score_stage(run, net, stage, parsed.multi_scale)
    print(f"{path}, {'multi-scale' if parsed.multi_scale else 'single scale'}, in percent")
    print(score_table(scores))
    if parsed.out:
        parsed.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(parsed.out, dict(scores, checkpoint=str(path), multi_scale=parsed.multi_scale))


if __name__ == "__main__":
    run_tool(main)
