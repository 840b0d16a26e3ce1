"""What every training shares: the loop, its state on disk, several devices and workers, the log.

Open `loop` first: a stage gives it networks, trainers and the losses of an iteration.  `distributed` sums gradients
over devices and workers; `checkpoint` and `resume` are how a stopped training goes on.
"""
