"""Convert torchvision's ImageNet weights, resnet101 or vgg16, to a parameter file of GluonCV's network of that name.

The input is the state_dict that torchvision publishes, as a .safetensors file (needs the package safetensors) or as a
.pth file (needs PyTorch; nothing that the file carries is executed).
"""

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import ToolParser, flag_path, run_tool
from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256


def main(arguments):
    parser = ToolParser(description=__doc__)
    parser.add_argument(
        "input", type=flag_path, metavar="INPUT", help="torchvision's weights: .safetensors, .pth or .pt"
    )
    parser.add_argument("--encoder", required=True, choices=("resnet101", "vgg16"), help="the network in the file")
    parser.add_argument("--out", type=flag_path, required=True, metavar="FILE.params", help="a new file to write")
    parsed = parser.parse_args(arguments)
    if parsed.out.exists():
        raise UserError(f"--out {parsed.out}: exists already, and is left alone: name a new file, or remove it first")
    from gluon_madapt.weights.gluon_files import write_arrays
    from gluon_madapt.weights.torch_files import read_torch_file
    from gluon_madapt.weights.torchvision_names import convert

    values, counters = convert(parsed.encoder, read_torch_file(parsed.input), str(parsed.input))
    write_arrays(parsed.out, values)
    print(f"read     {parsed.input} (SHA-256 {sha256(parsed.input)})")
    print(f"wrote    {parsed.out} (SHA-256 {sha256(parsed.out)})")
    print(f"tensors  {len(values)} converted, {counters} counters (num_batches_tracked) left out")
    print(f"config   model: {{encoder: {parsed.encoder}, weights: {parsed.out}}}")


if __name__ == "__main__":
    run_tool(main)
