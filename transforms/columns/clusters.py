"""Clusters of subscribers by what they reach: k-means over the shares of business types."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transforms.columns.directory import BusinessTypes


def cluster_subscribers(types: NDArray[np.uint32], business_types: BusinessTypes) -> NDArray[np.int64]:
    """Cluster of each subscriber, numbered as the tags.

    k-means (Lloyd, scikit-learn) with one cluster per tag, started at the tags' unit vectors: the mean of the
    unit vectors of the tag's types, so that a cluster keeps the meaning it begins with.

    Args:
        types: m x types interactions by business type, subscribers sorted by number; every row has a record.
    """
    if not len(types):
        return np.empty(0, np.int64)
    from sklearn.cluster import KMeans

    shares = types / types.sum(axis=1, keepdims=True)
    tags = business_types.tag_matrix().T.astype(np.float64)
    starts = tags / tags.sum(axis=1, keepdims=True)
    if len(shares) < len(starts):  # fewer subscribers than clusters: the nearest start is the cluster
        distance = ((shares[:, None, :] - starts[None, :, :]) ** 2).sum(axis=2)
        return distance.argmin(axis=1).astype(np.int64)
    labels = KMeans(n_clusters=len(starts), init=starts, n_init=1, random_state=0).fit_predict(shares)
    return labels.astype(np.int64)
