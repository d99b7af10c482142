"""Limits of the service that its clients need to know, too."""

from __future__ import annotations

from typing import Final

DEFAULT_ADDRESS: Final = "127.0.0.1:50051"
MAX_STORE_NAME_BYTES: Final = 255
MAX_KEY_BYTES: Final = 1024
# Of a value's BSON document; also of the expected and the new value of a compare-and-set together.
MAX_VALUE_BYTES: Final = 15 * 1024 * 1024
MAX_TTL_SECONDS: Final = 36_525 * 24 * 60 * 60
MAX_BATCH_KEYS: Final = 1000
MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
MAX_RESPONSE_BYTES: Final = 32 * 1024 * 1024
# Beyond it a double does not hold every whole number.
MAX_EXACT_INTEGER: Final = 2**53
MIN_INT64: Final = -(2**63)
MAX_INT64: Final = 2**63 - 1
STORE_KEY: Final = "__store__"
