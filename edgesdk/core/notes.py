"""What was chosen where the choice was left to edgesdk, told at the moment of the choice.

The notes are log records of the logger "edgesdk", level INFO: silent in a program that asks
for none, on stderr of the command line.
"""

import logging

LOGGER = logging.getLogger("edgesdk")


def note(text: str) -> None:
    """Tell what was chosen, and why."""
    LOGGER.info(text)
