"""Stage 3 on disk: the maps of one network pass over the target images, the threshold search, the label files.

Open `network_pass` first, then `threshold_search` and `labelling`; the selection itself is in `gluon_madapt.proxies`.
"""
