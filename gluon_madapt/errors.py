"""Defines the errors that end a tool with one line and an exit status."""


class UserError(Exception):
    """What the user can mend in the command, the config or the data: what, where, what was expected; status 2."""


class FailureError(Exception):
    """A failure that was found and that no input explains, such as a loss that is not finite; status 1."""
