"""What the controller tells an operator: one sentence that says what is wrong and what to do."""

from __future__ import annotations


class BoresightError(Exception):
    """Wrong input or a situation that the operator can mend; the command prints it and exits with 1."""
