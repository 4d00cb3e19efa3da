"""Values as JSON has them, with the numbers that its readers disagree about."""

from __future__ import annotations

from hypothesis import strategies as st

NUMBERS = (
    st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.sampled_from([-(2**63), 2**63, 2**64])
)

JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
