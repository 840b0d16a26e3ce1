"""Videos in, labels of their frames out."""

import cv2
import numpy as np
import pytest
from broken_images import encoded, picture
from prediction_runs import predict, put, read, tree


def film(path, frames=9, codec="MJPG", size=(96, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, size)
    for seed in range(frames):
        writer.write(picture(*size[::-1], seed)[..., ::-1])
    writer.release()
    return path


def frames_of(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        found, frame = capture.read()
        if not found:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(frame[..., ::-1])


def test_a_video_gets_what_its_frames_would(model, tmp_path):
    path, out = film(tmp_path / "in" / "my clip.avi"), tmp_path / "out"
    counts = predict(model, out, path, videos=True, every=2)
    assert counts == (5, 0, [])
    frames, _ = frames_of(path)
    assert sorted(one.name for one in (out / "labels" / "my clip").iterdir()) == [
        f"00000{n}.png" for n in (1, 3, 5, 7, 9)
    ]
    for number in (1, 9):
        expected = model(np.ascontiguousarray(frames[number - 1])).labels
        np.testing.assert_array_equal(read(out / "labels" / "my clip" / f"{number:06d}.png"), expected)
    overlays, per_second = frames_of(out / "videos" / "my clip.mp4")
    assert (len(overlays), per_second) == (5, 5)
    shown = read(out / "overlays" / "my clip" / "000009.png").astype(int)
    assert np.abs(overlays[-1] - shown).mean() < 20, "the same picture, to what the codec loses"


def test_a_video_that_was_stopped_goes_on_and_is_not_done_twice(model, tmp_path):
    path, out = film(tmp_path / "in" / "clip.avi"), tmp_path / "out"
    predict(model, out, path, videos=True)
    before = tree(out)
    assert predict(model, out, path, videos=True) == (0, 9, [])
    (out / "videos" / "clip.mp4").unlink()
    (out / "labels" / "clip" / "000004.png").unlink()
    assert predict(model, out, path, videos=True) == (1, 8, [])
    assert tree(out)["videos/clip.mp4"] == before["videos/clip.mp4"]
    assert tree(out / "labels") == {name[7:]: data for name, data in before.items() if name.startswith("labels/")}


@pytest.mark.parametrize("codec, suffix", [("MJPG", ".avi"), ("mp4v", ".mkv")])
def test_a_video_that_was_cut_off_is_predicted_to_its_end_and_said(model, tmp_path, caplog, codec, suffix):
    path = film(tmp_path / "in" / f"clip{suffix}", frames=30, codec=codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for again in range(2):
        counts = predict(model, tmp_path / "out", path, videos=True)
        done = counts.predicted + counts.before
        assert counts.broken == [path]
        assert 5 < done < 25
        assert counts.before == again * done
        assert f"{path}: ends after {done} of 30 frames" in caplog.text
        assert len(frames_of(tmp_path / "out" / "videos" / "clip.mp4")[0]) == done


def test_what_is_no_video_is_named_and_the_others_are_predicted(model, tmp_path, caplog):
    put(tmp_path / "in" / "text.mp4", b"this is no video")
    whole = film(tmp_path / "in" / "moov.mp4", codec="mp4v").read_bytes()
    put(tmp_path / "in" / "moov.mp4", whole[: len(whole) // 2])
    film(tmp_path / "in" / "fine.avi", frames=2)
    counts = predict(model, tmp_path / "out", tmp_path / "in")
    assert counts.predicted == 2
    assert [path.name for path in counts.broken] == ["moov.mp4", "text.mp4"]
    assert "text.mp4: not readable as a video" in caplog.text


def test_frames_and_images_of_one_name_are_not_mixed(model, tmp_path, caplog):
    path = film(tmp_path / "video" / "clip.avi", frames=2)
    image = put(tmp_path / "images" / "clip" / "000001.png", encoded(picture()))
    put(tmp_path / "images" / "clip.png", encoded(picture()))
    predict(model, tmp_path / "images first", image.parent.parent)
    assert predict(model, tmp_path / "images first", image.parent.parent) == (0, 2, [])
    assert predict(model, tmp_path / "images first", path) == (0, 0, [path])
    predict(model, tmp_path / "video first", path)
    assert predict(model, tmp_path / "video first", image.parent.parent).predicted == 0
    assert caplog.text.count("holds predictions of another file of that name") == 3
