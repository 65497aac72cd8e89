"""A call of a loss: its arrays checked, its kernels run, its result reduced."""
