"""The error that means: the user can mend this in the command, the config or the data."""


class UserError(Exception):
    """One line that says what is wrong, where, what was expected and how to mend it; tools exit with status 2."""
