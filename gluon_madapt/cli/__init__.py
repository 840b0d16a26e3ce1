"""The command line: what the scripts in ``tools`` share, and the launcher of distributed trainings.

Open `command` first: flags, and errors of one line with an exit status.
"""
