"""States how each tree is painted: the colours of its materials, its light and its camera."""

from dataclasses import dataclass, field
from typing import Mapping, Tuple

from gluon_madapt.miniworld.paints import GTA5_PAINTS, REAL_PAINTS, SYNTHIA_PAINTS, Colour, Paint

Range = Tuple[float, float]


@dataclass(frozen=True)
class Look:
    """The rendering of one domain; a pair is the range of a uniform draw made anew for every image.

    Parameters
    ----------
    paints : Mapping[str, Paint]
        The paint of every material.
    sky_top, sky_bottom : tuple of Colour
        Zenith and horizon colours; one index is drawn for both.
    cloud_cover, cloud_softness : Range
        Share of the sky under cloud (0 to 1), and how gradual their edges are.
    shade : Range
        Brightness of faces turned away from the sun, and of cast shadows, as a fraction; 1 is an overcast day.
    thing_drift, image_drift : float
        Standard deviations, as fractions, of the brightness and (half of it) each channel of every thing's colour, and
        of every material's colour in the whole image.
    texture : Range
        Contrast of the surfaces' texture, a fraction of their brightness.
    glints : Range
        Strength of reflections of the sky in glass and on the road.
    exposure : Range
        In stops.
    temperature : Range
        Gain of red over blue, a fraction.
    saturation, contrast : Range
        Factors; 1 leaves the image as it is.
    side_light : Range
        Brightness gained from one side of the image to the other, a fraction.
    haze : Range
        Extinction per metre of depth.
    vignette : Range
        Darkening of the corners, a fraction.
    defocus, motion : Range
        Standard deviation of the blur, and length of the horizontal smear, in pixels.
    noise : Range
        Standard deviation of the sensor noise, in grey levels.
    jpeg_quality : Range
        Quality of a JPEG compression before the image is stored; 100 means none.
    """

    paints: Mapping[str, Paint] = field(repr=False)
    sky_top: Tuple[Colour, ...]
    sky_bottom: Tuple[Colour, ...]
    cloud_cover: Range
    cloud_softness: Range
    shade: Range
    thing_drift: float = 0.0
    image_drift: float = 0.0
    texture: Range = (0.0, 0.0)
    glints: Range = (0.0, 0.0)
    exposure: Range = (0.0, 0.0)
    temperature: Range = (0.0, 0.0)
    saturation: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    side_light: Range = (0.0, 0.0)
    haze: Range = (0.0, 0.0)
    vignette: Range = (0.0, 0.0)
    defocus: Range = (0.0, 0.0)
    motion: Range = (0.0, 0.0)
    noise: Range = (0.0, 0.0)
    jpeg_quality: Range = (100.0, 100.0)


GTA5_LOOK = Look(
    paints=GTA5_PAINTS,
    sky_top=((78, 142, 212),),
    sky_bottom=((196, 222, 240),),
    cloud_cover=(0.15, 0.40),
    cloud_softness=(0.20, 0.30),
    shade=(0.60, 0.80),
    thing_drift=0.04,
    image_drift=0.05,
    exposure=(-0.1, 0.1),
)

SYNTHIA_LOOK = Look(
    paints=SYNTHIA_PAINTS,
    sky_top=((122, 176, 226), (150, 162, 214)),
    sky_bottom=((232, 234, 230), (246, 222, 204)),
    cloud_cover=(0.25, 0.55),
    cloud_softness=(0.04, 0.08),
    shade=(0.74, 0.92),
    thing_drift=0.04,
    image_drift=0.05,
    exposure=(-0.1, 0.1),
)

# Every photograph has a light of its own, where a renderer has one.  Statistics of the whole domain cannot mend what
# differs from image to image, so that there is something left for the adversary to do.
REAL_LOOK = Look(
    paints=REAL_PAINTS,
    sky_top=((88, 146, 210), (112, 158, 208), (146, 178, 208), (186, 194, 202)),
    sky_bottom=((204, 224, 238), (214, 226, 234), (236, 226, 208), (222, 224, 224)),
    cloud_cover=(0.05, 0.6),
    cloud_softness=(0.25, 0.7),
    shade=(0.50, 1.0),
    thing_drift=0.06,
    image_drift=0.08,
    texture=(0.02, 0.11),
    glints=(0.0, 0.25),
    exposure=(-0.6, 0.6),
    temperature=(-0.3, 0.3),
    saturation=(0.3, 1.1),
    contrast=(0.5, 1.0),
    side_light=(-0.5, 0.5),
    haze=(0.0005, 0.006),
    vignette=(0.0, 0.25),
    defocus=(0.2, 0.75),
    motion=(0.0, 1.6),
    noise=(1.5, 6.5),
    jpeg_quality=(45.0, 95.0),
)
