"""Writes, verifies and reads files, the same way everywhere: whole or not at all, and never trusted when damaged.

Open `atomic` first: every file is written through it.  `archives` holds arrays, `json_files` holds records,
logs and settings, `hashing` names a file by its content.
"""
