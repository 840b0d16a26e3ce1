"""What is known of the published data sets: how many images there are, and how large."""

# (width, height) of nearly all images; a few of GTA5 differ.
SIZES = {"gta5": (1914, 1052), "synthia": (1280, 760), "cityscapes": (2048, 1024)}
# Images of a split (P §3.1).
COUNTS = {
    ("gta5", "train"): 24966,
    ("synthia", "train"): 9400,
    ("cityscapes", "train"): 2975,
    ("cityscapes", "val"): 500,
}
