"""What a kernel is given must fit: it reads without looking, past the end of an array too."""


def must_fit(fits, **arrays):
    """ValueError with the arrays' shapes unless `fits`; an array may be None."""
    if not fits:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if array is not None)
        raise ValueError(f"shapes do not fit each other: {shapes}")


def must_lie_below(limit, ids):
    """IndexError unless every id is one of range(limit)."""
    if ids.size and not 0 <= ids.min() <= ids.max() < limit:
        raise IndexError(f"ids from {ids.min()} to {ids.max()} are not all from 0 to {limit - 1}")
