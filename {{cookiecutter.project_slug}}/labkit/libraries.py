"""To be imported before torch, which then takes two thirds of its time: Python searches what is imported for garbage
neither meanwhile nor later, as at the end of the process. It lasts as long as the process does."""

import gc

gc.disable()
import torch._dynamo  # torch itself, and what the first optimizer would import  # noqa: E402, F401

gc.freeze()
gc.enable()
