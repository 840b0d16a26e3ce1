"""Deals with the machine: what is supported, GPUs, threads, child processes, signals, terminals, the code's version.

Open `threads` first, which says how many cores there are and works on them; `supported`, `environment` and `cuda` run
while the package is imported, before MXNet.
"""
