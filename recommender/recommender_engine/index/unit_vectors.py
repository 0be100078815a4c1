"""What may enter an index: unit vectors under labels that are whole numbers from zero."""

from __future__ import annotations

import numpy as np

from recommender_engine.index.vector_index import Labels, Vectors

MIN_NORM, MAX_NORM = 0.99, 1.01


def unit_vectors(vectors: Vectors, dimension: int) -> Vectors:
    """Vectors as contiguous float32, shape (n, dimension).

    hnswlib takes NaN and Inf without a word, and its graph never recovers from them.

    Raises:
        ValueError: another shape, a value that is not finite, or a length outside [0.99, 1.01].
    """
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.ascontiguousarray(vectors, dtype=np.float32)
        if array.ndim != 2 or array.shape[1] != dimension:
            raise ValueError(f"vectors have shape {array.shape}, not (n, {dimension})")
        norms = np.sqrt(np.einsum("nd,nd->n", array, array))
    wrong = np.flatnonzero(~((norms >= MIN_NORM) & (norms <= MAX_NORM)))  # NaN compares false, so it is wrong too
    if wrong.size:
        row = int(wrong[0])
        what = f"has length {norms[row]:.4g}, not 1" if np.isfinite(array[row]).all() else "is not finite"
        raise ValueError(f"vector {row} {what}")
    return array


def whole_labels(labels: Labels) -> Labels:
    """Labels as int64, shape (n,).

    Raises:
        ValueError: another shape, or numbers that are not whole.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"labels are {array.dtype} of shape {array.shape}, not integers of shape (n,)")
    return array.astype(np.int64, copy=False)
