"""Write a trained model as an ONNX file, for images of one size, that runs without MXNet; see docs/onnx.md.

The file is checked on the spot: it is not written unless ONNX Runtime's scores are MXNet's, to 1e-4 of their range.
"""

import argparse

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import ToolParser, flag_path, run_tool
from gluon_madapt.errors import UserError
from gluon_madapt.export.packages import require_packages
from gluon_madapt.files.hashing import sha256

# Of the image: an encoder's coarsest map is a 32nd of it.
SHORTEST = 32
# Pixels, as of the largest image that is read.
LARGEST = 1 << 27


def side(text):
    """Parse the height or width of an image."""
    if not (text.isascii() and text.isdecimal()) or int(text) < SHORTEST:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of pixels, {SHORTEST} or more")
    return int(text)


def parse(arguments):
    parser = ToolParser(description=__doc__)
    parser.add_argument(
        "--checkpoint",
        type=flag_path,
        required=True,
        metavar="FILE",
        help="a checkpoint, a finished or released parameter file, or the folder of a run or a stage",
    )
    parser.add_argument("--height", type=side, required=True, metavar="H", help="of the images, in pixels")
    parser.add_argument("--width", type=side, required=True, metavar="W", help="of the images, in pixels")
    parser.add_argument("--out", type=flag_path, required=True, metavar="FILE.onnx", help="a new file to write")
    parsed = parser.parse_args(arguments)
    if parsed.height * parsed.width > LARGEST:
        raise UserError(f"--height {parsed.height} --width {parsed.width}: expected {LARGEST} pixels at most")
    if parsed.out.exists():
        raise UserError(f"--out {parsed.out}: exists already, and is left alone: name a new file, or remove it first")
    return parsed


def main(arguments):
    parsed = parse(arguments)
    require_packages()
    import mxnet as mx
    import onnxruntime

    from gluon_madapt.export.conversion import OPSET
    from gluon_madapt.export.onnx_file import write_onnx
    from gluon_madapt.runs.trained import load_trained

    height, width = parsed.height, parsed.width
    trained = load_trained(parsed.checkpoint, mx.cpu())
    differences = write_onnx(trained, height, width, parsed.out)
    origin, classes = trained.origin, len(trained.classes)
    print(f"read     {origin['checkpoint']} (SHA-256 {origin['checkpoint_sha256']})")
    print(f"wrote    {parsed.out} (SHA-256 {sha256(parsed.out)}), {parsed.out.stat().st_size / 1e6:.1f} MB")
    print(f"model    {origin['encoder']}, {classes} classes, ONNX operator set {OPSET}")
    print(f"input    image (1, {height}, {width}, 3) uint8 RGB, not normalised")
    print(f"outputs  logits (1, {classes}, {height}, {width}) float32, labels (1, {height}, {width}) uint8, scores")
    shares = ", ".join(f"{share:.0e} ({kind})" for kind, share in differences.items())
    print(f"checked  ONNX Runtime {onnxruntime.__version__} differs from MXNet by {shares} of the scores' range")
    if trained.short_side not in (None, min(height, width)):
        print(f"note     this model was evaluated at a short side of {trained.short_side}, not {min(height, width)}")


if __name__ == "__main__":
    run_tool(main)
