"""What tests of settings share: the base of all configs, and words that no message of theirs has."""

import re

from conftest import ROOT

BASE = ROOT / "configs" / "base.yaml"
# Words of the libraries that read and check a config.
INTERNALS = re.compile(
    r"pydantic|Input should|literal|tuple|tagged|union|<one>|<list>|pattern|NoneType|datetime|unicode string|None|True"
    r"|False|\bdict\b|\bint\b|\bstr\b|Value error|constructor|another value|validat|surrogate|codec"
)
