"""The mini world: street scenes drawn by rule, stored as small GTA5, SYNTHIA and Cityscapes trees.

The three trees show the same world under three looks, in the data sets' own on-disk formats, so that every stage runs
on them as on the real ones, in minutes and without a download.  Open `scene` first: it composes a street, which
`render` draws under one of the `looks`, and `trees` writes to disk.
"""

from gluon_madapt.miniworld.trees import make_miniworld, refuse_another

__all__ = ["make_miniworld", "refuse_another"]
