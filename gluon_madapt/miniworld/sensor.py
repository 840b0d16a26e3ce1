"""Photographs a rendering with the 'real' domain's camera: random haze, exposure, blur, noise and compression."""

from typing import Tuple

import cv2
import numpy as np

from gluon_madapt.miniworld.looks import Look

_LOSSLESS_QUALITY = 100
_HAZE_GREYS = (180.0, 232.0)


def smooth_noise(rng: np.random.Generator, shape: Tuple[int, ...], grain: Tuple[float, float]) -> np.ndarray:
    """Noise (H, W) float32 of about unit variance whose features are ``grain`` pixels (across, along) large."""
    height, width = shape
    coarse = (max(2, round(height / grain[1]) + 1), max(2, round(width / grain[0]) + 1))
    noise = rng.standard_normal(coarse).astype(np.float32)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def photograph(image: np.ndarray, depth: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Turn a clean rendering, (H, W, 3) float32 in 0 to 255, into what the camera of ``look`` stores, uint8.

    Parameters
    ----------
    depth : np.ndarray
        (H, W) distance in metres, for the haze.
    """
    image = _haze(image, depth, rng.uniform(*look.haze), rng)
    image = _light(image, look, rng)
    image = _grade(image, rng.uniform(*look.saturation), rng.uniform(*look.contrast))
    image = _blur(image, rng.uniform(*look.defocus), rng.uniform(*look.motion))
    noise = rng.uniform(*look.noise)
    if noise > 0:
        image = image + noise * rng.standard_normal(image.shape, dtype=np.float32)
    return _compress(np.clip(np.round(image), 0, 255).astype(np.uint8), round(rng.uniform(*look.jpeg_quality)))


def _haze(image: np.ndarray, depth: np.ndarray, extinction: float, rng: np.random.Generator) -> np.ndarray:
    if extinction <= 0:
        return image
    seen = np.exp(-extinction * depth)[..., None].astype(np.float32)
    return image * seen + np.float32(rng.uniform(*_HAZE_GREYS)) * (1 - seen)


def _light(image: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Exposure, colour temperature, light from one side, and the lens's vignetting: all are gains."""
    height, width = image.shape[:2]
    x, y = np.linspace(-1, 1, width, dtype=np.float32)[None], np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    warm = rng.uniform(*look.temperature)
    gain = 2 ** rng.uniform(*look.exposure) * (1 + rng.uniform(*look.side_light) / 2 * x)
    gain = gain * (1 - rng.uniform(*look.vignette) * (x**2 + y**2) / 2)
    return image * gain[..., None] * np.array([1 + warm / 2, 1.0, 1 - warm / 2], dtype=np.float32)


def _grade(image: np.ndarray, saturation: float, contrast: float) -> np.ndarray:
    if saturation != 1:
        grey = image.mean(axis=2, keepdims=True)
        image = grey + saturation * (image - grey)
    if contrast != 1:
        image = 128 + contrast * (image - 128)
    return image


def _blur(image: np.ndarray, defocus: float, motion: float) -> np.ndarray:
    if defocus > 0:
        image = cv2.GaussianBlur(image, (0, 0), defocus)
    if motion > 1:
        # A box of fractional length: its two end taps share what the whole ones leave.
        whole = int((motion - 1) // 2)
        taps = np.ones(2 * whole + 3, dtype=np.float32)
        taps[0] = taps[-1] = (motion - 1) / 2 - whole
        image = cv2.filter2D(image, -1, (taps / taps.sum())[None], borderType=cv2.BORDER_REPLICATE)
    return image


def _compress(image: np.ndarray, quality: int) -> np.ndarray:
    if quality >= _LOSSLESS_QUALITY:
        return image
    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])
