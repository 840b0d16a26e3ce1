"""Draw the mini world: small GTA5, SYNTHIA and Cityscapes trees for trying everything out in minutes."""

import time

import checkout  # noqa: F401 - first

from gluon_madapt.cli.command import ToolParser, flag_path, run_tool


def main(arguments):
    parser = ToolParser(description=__doc__)
    parser.add_argument("--out", type=flag_path, required=True, metavar="DIR", help="folder for the three trees")
    parser.add_argument("--seed", type=int, default=1, help="of all randomness (default: %(default)s)")
    for name, default in (("gta5", 300), ("synthia", 300), ("train", 300), ("val", 60)):
        where = name if name in ("gta5", "synthia") else f"cityscapes/{name}"
        parser.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help=f"images in {where} (default: %(default)s)"
        )
    options = parser.parse_args(arguments)
    from gluon_madapt.miniworld import make_miniworld

    start = time.perf_counter()
    written = make_miniworld(**vars(options))
    if not written:
        print(f"{options.out} already holds this mini world, or more of it; nothing to do")
        return
    seconds = time.perf_counter() - start
    print(
        f"wrote {options.out} in {seconds:.0f} s: images of GTA5 {options.gta5}, SYNTHIA {options.synthia}, "
        f"Cityscapes {options.train} train and {options.val} val"
    )


if __name__ == "__main__":
    run_tool(main)
