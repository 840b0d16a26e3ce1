"""Thresholds and labels by the definition: sort everything, divide everything."""

from decimal import Decimal

import numpy as np

f32 = np.float32


def sorted_threshold(scores, share):
    """Keep k = floor(share * N) of N scores; the next float below the smallest if all are kept, 1 if there is none."""
    if not scores.size:
        return f32(1)
    scores = np.sort(scores)
    kept = int(Decimal(repr(share)) * len(scores))
    return scores[len(scores) - kept - 1] if kept < len(scores) else np.nextafter(scores[0], f32(-np.inf))


def sorted_thresholds(images, p1, p2):
    """Return t1 and t2, (L,), of a list of (probabilities (L, H, W), confidence (H, W))."""
    t1 = sorted_threshold(np.concatenate([a.ravel() for _, a in images]), p1)
    label = np.concatenate([p.argmax(axis=0)[a > t1] for p, a in images])
    score = np.concatenate([p.max(axis=0)[a > t1] for p, a in images])
    t2 = [sorted_threshold(score[label == c], p2) for c in range(len(images[0][0]))]
    return t1, np.array(t2, dtype=f32)


def divided_labels(probabilities, confidence, t1, t2):
    """Return the labels of an image, (H, W)."""
    best = (probabilities / t2[:, None, None]).argmax(axis=0)
    sure = np.take_along_axis(probabilities, best[None], axis=0)[0] > t2[best]
    return np.where(sure & (confidence > t1), best, 255)


def whole_images(stored):
    """Return probabilities and confidence of stored maps at the images' own sizes, all at once."""
    from gluon_madapt.proxy_maps.scored_maps import scored_blocks

    images = []
    for maps in stored:
        blocks = [(p.copy(), a) for _, p, a in scored_blocks(maps)]
        images.append((np.concatenate([p for p, _ in blocks], axis=1), np.concatenate([a for _, a in blocks])))
    return images
