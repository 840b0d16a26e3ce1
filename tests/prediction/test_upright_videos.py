"""The frames of a video are turned and mirrored as FFmpeg does."""

import shutil
import struct
import subprocess

import cv2
import numpy as np
import pytest
from broken_images import picture
from prediction_runs import predict, read

from gluon_madapt.prediction.display_matrix import orientation_of_video
from gluon_madapt.prediction.video import video_frames

FFMPEG = shutil.which("ffmpeg")
FRAME = picture(64, 96)

# By name: the matrix (a, b, c, d) of a track, and the frame as it is shown.
MATRICES = {
    "none": ((1, 0, 0, 1), FRAME),
    "a quarter": ((0, 1, -1, 0), np.rot90(FRAME, -1)),
    "a half": ((-1, 0, 0, -1), np.rot90(FRAME, 2)),
    "three quarters": ((0, -1, 1, 0), np.rot90(FRAME)),
    "mirrored": ((-1, 0, 0, 1), FRAME[:, ::-1]),
    "upside down": ((1, 0, 0, -1), FRAME[::-1]),
    "a quarter, mirrored": ((0, 1, 1, 0), FRAME.transpose(1, 0, 2)),
    "three quarters, mirrored": ((0, -1, -1, 0), FRAME[::-1, ::-1].transpose(1, 0, 2)),
    "twice as wide": ((2, 0, 0, 1), FRAME),
}


def nine(a, b, c, d):
    return struct.pack(">9i", *(int(one * 65536) for one in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)


def film(path, of_track, of_film=(1, 0, 0, 1)):
    """Write a video of one frame thrice, with a matrix in the box of its track, and of the whole film."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, FRAME.shape[1::-1])
    for _ in range(3):
        writer.write(np.ascontiguousarray(FRAME[..., ::-1]))
    writer.release()
    data = path.read_bytes()
    for box, matrix in ((b"mvhd", of_film), (b"tkhd", of_track)):
        place = data.index(nine(1, 0, 0, 1), data.index(box))
        data = data[:place] + nine(*matrix) + data[place + 36 :]
    path.write_bytes(data)
    return path


def by_ffmpeg(path):
    """Return the first frame as FFmpeg shows it, (H, W, 3) uint8 RGB."""
    command = [FFMPEG, "-v", "error", "-i", path, "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def the_frame(path):
    frames = [frame for _, frame in video_frames(path)]
    assert len(frames) == 3
    return frames[0]


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
def test_frames_are_upright(name, suffix, tmp_path):
    matrix, expected = MATRICES[name]
    found = the_frame(film(tmp_path / f"a{suffix}", matrix))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 8, "the same picture, to what the codec loses"


def test_a_film_may_be_mirrored_as_a_whole(tmp_path):
    mirrored = MATRICES["mirrored"][0]
    for of_track, expected in (((1, 0, 0, 1), FRAME[:, ::-1]), (mirrored, FRAME)):
        found = the_frame(film(tmp_path / "a.mp4", of_track, mirrored))
        assert np.abs(found.astype(int) - expected).mean() < 8


def test_the_matrix_of_a_track_of_sound_does_not_count(tmp_path):
    def box(kind, content):
        return struct.pack(">I4s", len(content) + 8, kind) + content

    def track(kind, matrix):
        return box(b"trak", box(b"tkhd", bytes(40) + nine(*matrix)) + box(b"mdia", box(b"hdlr", bytes(8) + kind)))

    plain, mirrored = MATRICES["none"][0], MATRICES["mirrored"][0]
    for pictures, expected in ((plain, 1), (mirrored, 4)):
        for sound in (plain, mirrored):
            path = tmp_path / "a.mp4"
            path.write_bytes(box(b"moov", track(b"soun", sound) + track(b"vide", pictures)))
            assert orientation_of_video(path, 0) == expected


@pytest.mark.skipif(not FFMPEG, reason="no ffmpeg here")
@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("whole", ["none", "mirrored", "three quarters"])
def test_frames_are_those_of_ffmpeg(name, whole, tmp_path):
    path = film(tmp_path / "a.mp4", MATRICES[name][0], MATRICES[whole][0])
    np.testing.assert_array_equal(the_frame(path), by_ffmpeg(path))


@pytest.mark.skipif(not FFMPEG, reason="no ffmpeg here")
@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".avi", ".webm"])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_frames_of_what_ffmpeg_wrote_are_those_it_shows(suffix, angle, tmp_path):
    source, path = film(tmp_path / "a.mp4", (1, 0, 0, 1)), tmp_path / f"b{suffix}"
    codec = ["-c:v", {".webm": "libvpx", ".avi": "mjpeg"}.get(suffix, "copy")]
    note = ["-metadata:s:v", f"rotate={angle}"]
    subprocess.run([FFMPEG, "-v", "error", "-i", source, *codec, *note, path], check=True)
    found, expected = the_frame(path), by_ffmpeg(path)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 2


def with_long_box(data):
    """Return an MP4 whose first box gives its size in 64 bits."""
    first = int.from_bytes(data[:4], "big")
    extra = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
    return data[:first] + extra + data[first:]


def shifted(data, by):
    """Return an MP4 whose places of frames are moved, after ``by`` bytes were put in front of them."""
    place = data.index(b"stco") + 12
    return data[:place] + struct.pack(">I", struct.unpack(">I", data[place : place + 4])[0] + by) + data[place + 4 :]


@pytest.mark.parametrize("name", ["a quarter, mirrored", "mirrored"])
def test_an_odd_box_does_no_harm(name, tmp_path):
    path = film(tmp_path / "a.mp4", MATRICES[name][0])
    path.write_bytes(shifted(with_long_box(path.read_bytes()), 24) + b"\0\0\0\1wide")
    assert np.abs(the_frame(path).astype(int) - MATRICES[name][1]).mean() < 8


def test_predictions_of_a_turned_video_are_upright(model, tmp_path):
    (tmp_path / "in").mkdir()
    path, out = film(tmp_path / "in" / "clip.mp4", (0, 1, 1, 0)), tmp_path / "out"
    predict(model, out, path, videos=True)
    assert read(out / "labels" / "clip" / "000001.png").shape == (96, 64)
    np.testing.assert_array_equal(read(out / "labels" / "clip" / "000001.png"), model(the_frame(path)).labels)
    shown = [frame for _, frame in video_frames(out / "videos" / "clip.mp4")]
    assert shown[0].shape == (96, 64, 3)
