"""The known tricks of request smuggling."""

from typing import Final

from tests.parts.tricks.chunk import CHUNKS
from tests.parts.tricks.coding import CODINGS
from tests.parts.tricks.first_line import FIRST_LINES
from tests.parts.tricks.length import LENGTHS
from tests.parts.tricks.message import MESSAGES
from tests.parts.tricks.section import SECTIONS

TRICKS: Final = CODINGS + LENGTHS + CHUNKS + FIRST_LINES + SECTIONS + MESSAGES
