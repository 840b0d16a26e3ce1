"""Loads parameters that were made elsewhere into a network: ImageNet classifiers, released models, PyTorch's files.

Open `loading` first: it accounts for every parameter, or refuses the file.  `gluon_files` and `torch_files` read the
formats; `imagenet`, `matching` and `torchvision_names` know which parameter is which; `zoo` downloads.
"""
