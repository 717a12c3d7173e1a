"""What a kernel is given must fit: it reads without looking, past the end of an array too."""


def must_fit(fits, **arrays):
    """ValueError with the arrays' shapes unless `fits`; an array may be None."""
    if not fits:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if array is not None)
        raise ValueError(f"shapes do not fit each other: {shapes}")
