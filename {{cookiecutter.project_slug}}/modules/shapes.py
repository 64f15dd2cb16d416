"""Shapes in signatures: Float[Tensor, "batch outputs"] is a tensor of floats with these two axes.

A name is one size within a call, "..." any number of axes, "" none. The tests and debug=shapes check it, by jaxtyping
and beartype; a run imports neither.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or "jaxtyping" not in sys.modules:
    from typing import Annotated as Bool
    from typing import Annotated as Float
    from typing import Annotated as Int
    from typing import Annotated as Shaped
else:
    from jaxtyping import Bool, Float, Int, Shaped

__all__ = ["Bool", "Float", "Int", "Shaped"]
