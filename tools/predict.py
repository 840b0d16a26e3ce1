"""Segment images, folders of them and videos with a trained model."""

import argparse
import logging

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import ToolParser, flag_path, positive, run_tool
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.precision import FLOAT32, PRECISIONS


def word(text):
    """Parse what names inputs: a path or a pattern."""
    return str(flag_path(text))


def share(text):
    """Parse a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 1")
    return number


def short_side(text):
    """Parse a number of pixels, or "own"."""
    return text if text == "own" else positive(text)


def parse(arguments):
    parser = ToolParser(description=__doc__)
    parser.add_argument(
        "inputs",
        type=word,
        nargs="+",
        metavar="INPUT",
        help="images, videos, folders, quoted patterns (** is any folders)",
    )
    parser.add_argument(
        "--checkpoint",
        type=flag_path,
        required=True,
        metavar="FILE",
        help="a checkpoint, a parameter file, a run folder or an exported .onnx file",
    )
    parser.add_argument(
        "--out",
        type=flag_path,
        required=True,
        metavar="DIR",
        help="where predictions go: labels/, colours/, overlays/ ...",
    )
    parser.add_argument("--fresh", action="store_true", help="move the predictions in DIR aside and start over")
    parser.add_argument(
        "--multi-scale", action="store_true", help="average over the model's scales and mirrored copies"
    )
    parser.add_argument(
        "--short-side",
        type=short_side,
        metavar="N",
        help="of the network's input, or own for the image's own size (default: as it is evaluated, or exported)",
    )
    parser.add_argument("--precision", choices=PRECISIONS, default=FLOAT32, help="of the network (default: float32)")
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu(0), gpu(0), gpu(1) ... (default: auto)"
    )
    parser.add_argument(
        "--ids",
        choices=("train", "cityscapes"),
        default="train",
        help="what label images hold: train ids, or the label ids of Cityscapes (default: train)",
    )
    parser.add_argument("--no-pictures", action="store_true", help="write no colours and overlays")
    parser.add_argument("--confidence", action="store_true", help="write the probability of each label, 255 for 1")
    parser.add_argument(
        "--top-k", type=positive, default=0, metavar="K", help="write ids and probabilities of the K likeliest classes"
    )
    parser.add_argument(
        "--alpha", type=share, default=0.5, metavar="X", help="share of the colours in an overlay (default: 0.5)"
    )
    parser.add_argument(
        "--every", type=positive, default=1, metavar="N", help="take every N-th frame of a video (default: 1)"
    )
    parser.add_argument(
        "--video", action="store_true", help="write the overlays of a video as a video, too: DIR/videos/"
    )
    return parser.parse_args(arguments)


def main(arguments):
    parsed = parse(arguments)
    if parsed.video and parsed.no_pictures:
        raise UserError("--video is made of overlays, and --no-pictures leaves them out: give one of them")
    from gluon_madapt.prediction import Predictor
    from gluon_madapt.prediction.batch import predict_all
    from gluon_madapt.prediction.inputs import find_sources
    from gluon_madapt.prediction.outputs import Outputs, Wanted

    sources = find_sources(parsed.inputs)
    predictor = Predictor.load(
        parsed.checkpoint, parsed.multi_scale, parsed.short_side, parsed.device, parsed.precision
    )
    wanted = Wanted(
        ids=parsed.ids,
        pictures=not parsed.no_pictures,
        confidence=parsed.confidence,
        top_k=parsed.top_k,
        videos=parsed.video,
        every=parsed.every,
        alpha=parsed.alpha,
    )
    logging.info("%s", predictor)
    outputs = Outputs(parsed.out, predictor, wanted, parsed.fresh)
    with outputs.folder:
        counts = predict_all(predictor, sources, outputs)
    before = f", {counts.before} were there before" if counts.before else ""
    print(f"{parsed.out}: {counts.predicted} images predicted{before}")
    if counts.broken:
        raise FailureError(
            f"{len(counts.broken)} of {len(sources)} inputs were not predicted, or not to their end: see the warnings"
        )


if __name__ == "__main__":
    run_tool(main)
