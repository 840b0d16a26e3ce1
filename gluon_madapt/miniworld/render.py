"""Draws a scene under a `Look`: one index map of its shapes, from which both the label map and the image are read."""

from typing import Dict, List, NamedTuple, Tuple

import cv2
import numpy as np

from gluon_madapt.miniworld.geometry import GROUND_DEPTH, LABELS, Scene, Shadow, Shape
from gluon_madapt.miniworld.looks import Look
from gluon_madapt.miniworld.sensor import photograph, smooth_noise

# Odd, so that the centre of every pixel of the image is a pixel of the index map, and labels need no interpolation.
_SUPERSAMPLING = 3
_SUBPIXEL_BITS = 3
_GROUND = ("road", "sidewalk", "terrain")
# Texture relative to `Look.texture`, and its grain in pixels (across, along); the rest of the materials are smooth.
_TEXTURE = {
    "road": (0.6, (24, 3)),
    "pavement": (0.7, (8, 3)),
    "grass": (1.0, (5, 2)),
    "foliage": (1.5, (3, 3)),
    "facade": (0.8, (7, 2)),
    "plinth": (0.8, (7, 2)),
    "wall": (1.0, (6, 2)),
    "cargo": (0.4, (12, 12)),
}
# Grain of the stains and repairs that lie over all of them.
_PATCHES = (40, 14)


class Buffers(NamedTuple):
    """What every pixel shows: ``label`` and ``centre`` (index of the shape), both (H, W), and ``depth`` in metres."""

    label: np.ndarray
    centre: np.ndarray
    depth: np.ndarray
    ground: np.ndarray
    sky: np.ndarray


def render(scene: Scene, look: Look, rng: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
    """Draw a scene.

    Returns
    -------
    image : np.ndarray
        (H, W, 3) uint8 RGB.
    label : np.ndarray
        (H, W) uint8, the values of `geometry.LABELS`: train ids, and raw Cityscapes ids offset by `RAW_OFFSET`.
    """
    shapes = scene.back_to_front()
    index = _rasterise(scene, shapes)
    buffers = _buffers(scene, shapes, index)
    overcast = rng.uniform(*look.shade)
    colours = _colours(shapes, look, scene.sun_side, overcast, rng)
    size = (scene.camera.width, scene.camera.height)
    image = cv2.resize(np.take(colours, index, axis=0), size, interpolation=cv2.INTER_AREA).astype(np.float32)
    image = _add_sky(image, buffers, look, colours, scene, rng)
    image *= _shadows(scene, buffers, overcast)[..., None]
    image = _add_texture(image, shapes, buffers, rng.uniform(*look.texture), rng)
    image = _add_glints(image, shapes, buffers, scene, rng.uniform(*look.glints), rng)
    return photograph(image, buffers.depth, look, rng), buffers.label


def _rasterise(scene: Scene, shapes: List[Shape]) -> np.ndarray:
    camera, scale = scene.camera, _SUPERSAMPLING
    index = np.zeros((camera.height * scale, camera.width * scale), dtype=np.uint16)
    subpixel = scale * (1 << _SUBPIXEL_BITS)
    for i, shape in enumerate(shapes):
        # Pixel centres lie at half-integers in the scene, at integers in OpenCV.
        points = np.round(shape.polygons * subpixel - (1 << _SUBPIXEL_BITS) / 2).astype(np.int32)
        cv2.fillPoly(index, list(points), (i,), cv2.LINE_8, _SUBPIXEL_BITS)
    return index


def _buffers(scene: Scene, shapes: List[Shape], index: np.ndarray) -> Buffers:
    centre = index[_SUPERSAMPLING // 2 :: _SUPERSAMPLING, _SUPERSAMPLING // 2 :: _SUPERSAMPLING]
    size = (scene.camera.width, scene.camera.height)
    label = np.array([shape.label for shape in shapes], dtype=np.uint8)[centre]
    depth = np.array([min(shape.depth, 150.0) for shape in shapes], dtype=np.float32)[centre]
    rows = scene.camera.ground_depth().astype(np.float32)[:, None]
    lies = np.array([shape.depth == GROUND_DEPTH for shape in shapes])[centre]
    depth = np.where(lies, rows, depth)
    return Buffers(label, centre, depth, _share(shapes, index, size, _GROUND), _share(shapes, index, size, ("sky",)))


def _share(shapes: List[Shape], index: np.ndarray, size: Tuple[int, int], names: Tuple[str, ...]) -> np.ndarray:
    """Share (H, W) of every pixel that shapes of these classes cover, 0 to 1."""
    labels = {LABELS[name] for name in names}
    table = np.array([255 * (shape.label in labels) for shape in shapes], dtype=np.uint8)
    return cv2.resize(np.take(table, index), size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _colours(shapes: List[Shape], look: Look, sun_side: int, shade: float, rng: np.random.Generator) -> np.ndarray:
    """Colour (N, 3) uint8 of every shape; things keep one colour per material."""
    lit = {"left": -1, "right": 1}
    image_drift: Dict[str, np.ndarray] = {}
    chosen: Dict[Tuple[int, str], np.ndarray] = {}
    colours = np.empty((len(shapes), 3))
    for i, shape in enumerate(shapes):
        key = (shape.owner, shape.material)
        if key not in chosen:
            if shape.material not in image_drift:
                image_drift[shape.material] = _drift(look.image_drift, look.image_drift / 3, rng)
            paint = look.paints[shape.material]
            colour = np.array(paint.colours[int(rng.integers(len(paint.colours)))], dtype=np.float64)
            own = _drift(paint.spread + look.thing_drift, paint.tint + look.thing_drift / 3, rng)
            chosen[key] = colour * image_drift[shape.material] * own
        light = 1.0
        if shape.facing in lit:
            # A face that looks to the right is lit when the sun stands on the right.
            light = 1.04 if lit[shape.facing] == sun_side else shade
        elif shape.facing == "front":
            light = (1 + shade) / 2
        elif shape.facing == "up":
            light = 1.08
        colours[i] = chosen[key] * shape.tone * light
    return np.clip(colours, 0, 255).astype(np.uint8)


def _drift(brightness: float, channel: float, rng: np.random.Generator) -> np.ndarray:
    drift = brightness * rng.standard_normal() + channel * rng.standard_normal(3)
    return np.minimum(np.maximum(1 + drift, 0.5), 1.6)


def _add_sky(
    image: np.ndarray, buffers: Buffers, look: Look, colours: np.ndarray, scene: Scene, rng: np.random.Generator
) -> np.ndarray:
    height, width = image.shape[:2]
    kind = int(rng.integers(len(look.sky_top)))
    rise = np.clip(1 - np.arange(height) / max(scene.camera.horizon, 1.0), 0, 1)[:, None, None] ** 0.8
    sky = np.array(look.sky_top[kind]) * rise + np.array(look.sky_bottom[kind]) * (1 - rise)
    sky = np.broadcast_to(sky, image.shape)
    cover, softness = rng.uniform(*look.cloud_cover), max(rng.uniform(*look.cloud_softness), 1e-3)
    noise = smooth_noise(rng, (height, width), (width / 5, height / 9)) + 0.5 * smooth_noise(
        rng, (height, width), (width / 14, height / 20)
    )
    threshold = np.quantile(noise, 1 - cover)
    cloud = np.clip((noise - threshold) / (softness * 3), 0, 1)[..., None] * (0.35 + 0.65 * rise)
    sky = sky * (1 - 0.85 * cloud) + 0.85 * cloud * np.array([250, 250, 250])
    return image + buffers.sky[..., None] * (sky - colours[0]).astype(np.float32)


def _shadows(scene: Scene, buffers: Buffers, shade: float) -> np.ndarray:
    """Brightness (H, W) left by shadows on the ground."""
    shape = buffers.label.shape
    cast, contact = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for shadow in scene.building_shadows:
        _stamp(cast, shadow)
    for shadow in scene.shadows:
        _stamp(contact, shadow)
    # The light of an overcast sky still leaves the contact shadow.
    dark = 1 - (1 - shade) * cast
    dark *= 1 - contact * (1.25 - 0.55 * shade)
    return 1 - buffers.ground * (1 - np.clip(dark, 0.15, 1))


def _stamp(darkness: np.ndarray, shadow: Shadow) -> None:
    """Leave a shadow in ``darkness`` (H, W), where it is the darkest yet."""
    blur = min(shadow.blur, 6.0)
    margin = 3 * blur + 1
    left, top = np.maximum(np.floor(shadow.polygon.min(0) - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(shadow.polygon.max(0) + margin), darkness.shape[::-1]).astype(int)
    if right <= left or bottom <= top:
        return
    mask: np.ndarray = np.zeros((bottom - top, right - left), dtype=np.uint8)
    points = np.round((shadow.polygon - (left + 0.5, top + 0.5)) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [points], (255,), cv2.LINE_AA, _SUBPIXEL_BITS)
    if blur > 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), blur)
    window = darkness[top:bottom, left:right]
    np.maximum(window, mask.astype(np.float32) * np.float32(shadow.strength / 255), out=window)


def _add_texture(
    image: np.ndarray, shapes: List[Shape], buffers: Buffers, contrast: float, rng: np.random.Generator
) -> np.ndarray:
    if contrast <= 0:
        return image
    names = list(_TEXTURE)
    material = np.array([names.index(s.material) if s.material in _TEXTURE else -1 for s in shapes])[buffers.centre]
    patches = 0.5 * smooth_noise(rng, material.shape, _PATCHES)
    gain = np.ones(material.shape, dtype=np.float32)
    for i, (strength, grain) in enumerate(_TEXTURE.values()):
        noise = 0.7 * smooth_noise(rng, gain.shape, grain) + patches
        gain = np.where(material == i, 1 + contrast * strength * noise, gain)
    return image * gain[..., None]


def _add_glints(
    image: np.ndarray, shapes: List[Shape], buffers: Buffers, scene: Scene, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """Reflect a bright sky in panes and, weaker, on the road towards the horizon."""
    if strength <= 0:
        return image
    glass = np.array([shape.material in ("glass", "window") for shape in shapes])[buffers.centre]
    road = np.array([shape.material == "road" for shape in shapes])[buffers.centre]
    noise = np.clip(smooth_noise(rng, image.shape[:2], (6, 3)), 0, 1.5)
    rows = np.arange(image.shape[0]) - scene.camera.horizon
    grazing = np.clip(1 - rows / (0.5 * image.shape[0]), 0, 1)[:, None]
    amount = strength * (glass * noise * 0.6 + road * grazing * 0.35)
    return image + amount[..., None].astype(np.float32) * (225.0 - image)
