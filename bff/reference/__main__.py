"""`python -m bff.reference PAGE…`: the parts of these pages anew."""

import sys
from pathlib import Path

from bff.reference import renewed

for name in sys.argv[1:]:
    page = Path(name)
    page.write_text(renewed(page.read_text("utf-8")), "utf-8")
