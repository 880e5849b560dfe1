"""The one error that a program shows to its user without a traceback."""


class InputError(ValueError):
    """Input that cannot be used: says what, where, what was expected, what to do."""
