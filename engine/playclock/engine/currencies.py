"""The codes of currencies that are in use, as ISO 4217 lists them."""

from typing import Final

import pycountry

ISO_4217: Final = frozenset(str(currency.alpha_3) for currency in pycountry.currencies)
"""Read once, when the engine is imported."""
