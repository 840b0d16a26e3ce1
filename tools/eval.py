"""Score a model on the labelled split: IoU per class and mIoU."""

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import experiment_parser, flag_path, open_run, run_tool
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.files.json_files import write_json
from gluon_madapt.precision import PRECISIONS
from gluon_madapt.run_layout import SCORES, TRAININGS, score_file
from gluon_madapt.system.provenance import code_version, with_this_code


def parse(arguments):
    parser = experiment_parser(__doc__, fresh="changes nothing here: scores are always computed anew", rounds=True)
    parser.add_argument(
        "--stage",
        choices=TRAININGS,
        help="the run's checkpoint to score (default: the last stage's); with --checkpoint, whose protocol to score by",
    )
    parser.add_argument(
        "--checkpoint", type=flag_path, metavar="FILE", help="a checkpoint, a parameter file or a run folder to score"
    )
    parser.add_argument("--multi-scale", action="store_true", help="average over evaluation.scales and mirrored copies")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the network (default: evaluation.precision)")
    parser.add_argument(
        "--save",
        type=flag_path,
        metavar="FILE.npz",
        help="write the network as it was scored: after AdaBN",
    )
    where = "where the scores go (default: RUN/scores, unless --checkpoint is given)"
    parser.add_argument("--out", type=flag_path, metavar="FILE.json", help=where)
    parsed = parser.parse_args(arguments)
    if parsed.precision:
        parsed.overrides.append(f"evaluation.precision={parsed.precision}")
    for flag, path in (("--out", parsed.out), ("--save", parsed.save)):
        if path and path.is_dir():
            raise UserError(f"{flag} {path}: is a folder: expected a file to write")
    return parsed


def main(arguments):
    parsed = parse(arguments)
    from gluon_madapt.evaluation.protocol import in_words, score_stage
    from gluon_madapt.evaluation.tables import score_table
    from gluon_madapt.runs.ownership import refuse_other_scores
    from gluon_madapt.runs.trained import load_any_segmenter

    run = open_run(parsed).alone("score in a process of its own")
    path = _checkpoint(parsed, run)
    net, checkpoint = load_any_segmenter(run, path)
    stage = parsed.stage or checkpoint.meta["stage"]
    out = parsed.out
    if not (out or parsed.checkpoint):  # of the run's own model: for its report
        out = run.folder / SCORES / score_file(stage, parsed.multi_scale, run.experiment.evaluation.precision)
    if out:
        refuse_other_scores(out)
    scores = score_stage(run, net, stage, parsed.multi_scale)
    scores.update(
        checkpoint=str(path),
        checkpoint_sha256=sha256(path),
        iteration=checkpoint.meta.get("iteration"),
        seed=checkpoint.meta.get("seed"),
        trained_by=checkpoint.meta.get("code"),
        scored_by=code_version(),
    )
    try:
        if out:
            write_json(out, scores)
    finally:  # whichever fails, the other has them
        how = in_words(scores["protocol"], scores.get("computed_in"))
        print(f"{path}, {how}, {scores['images']} images, in percent")
        print(score_table(scores), flush=True)
    if parsed.save:
        save_as_scored(parsed.save, run, net, stage, checkpoint.meta)


def _checkpoint(parsed, run):
    """Return the checkpoint to score: the one that is named, or the run's."""
    from gluon_madapt.runs.checkpoints import MODELS, named_checkpoint

    if parsed.checkpoint is None:
        return run.checkpoint_of(parsed.stage or run.last_stage(TRAININGS))
    return named_checkpoint(parsed.checkpoint, (parsed.stage,) if parsed.stage else MODELS)


def save_as_scored(path, run, net, stage, meta):
    """Write a checkpoint of the network alone, which can be used, and not be trained on."""
    from gluon_madapt.runs.trained import description_of
    from gluon_madapt.training.checkpoint import Checkpoint, network_arrays, write_checkpoint

    iteration = meta.get("iteration", 0)
    described = dict(description_of(run, stage), iteration=iteration, iterations=meta.get("iterations", iteration))
    described["code"] = with_this_code(meta.get("code", ()))
    write_checkpoint(path, Checkpoint(described, network_arrays("segmenter", net)))


if __name__ == "__main__":
    run_tool(main)
