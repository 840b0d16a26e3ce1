"""The run folder: what a stage finds there, is made from, and leaves; the networks and images of an experiment.

Open `run` first: a `Run` is an experiment with its folder, and its methods name the other modules.  `manifest` tells
whether a stage that was begun is still the one that the settings ask for; `trained` loads what a training left.
"""
