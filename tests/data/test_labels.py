import numpy as np
import pytest

from gluon_madapt.labels import KNOWN_IDS, class_set, colourize, decode_ids, encode_ids, label_map

NAMES_16 = (
    "road sidewalk building wall fence pole traffic_light traffic_sign vegetation sky person rider car bus motorcycle "
    "bicycle"
).replace("_", " ")


def test_class_sets_have_the_papers_classes_in_the_papers_order():
    assert class_set(19).names[9] == "terrain"
    assert " ".join(class_set(16).names) == NAMES_16
    left_out = set(range(16)) - set(class_set(16).subset_13)
    assert [class_set(16).names[i] for i in sorted(left_out)] == ["wall", "fence", "pole"]
    assert class_set(19).subset_13 == ()
    with pytest.raises(ValueError, match="19"):
        class_set(13)


def test_synthia_ids_go_to_the_16_train_ids():
    ids = [3, 4, 2, 21, 5, 7, 15, 9, 6, 1, 10, 17, 8, 19, 12, 11]
    assert decode_ids(np.array([ids]), label_map("synthia", class_set(16)))[0].tolist() == list(range(16))
    others = sorted(set(KNOWN_IDS["synthia"]) - set(ids))
    assert set(decode_ids(np.array([others]), label_map("synthia", class_set(16)))[0]) == {255}


def test_cityscapes_ids_go_to_the_19_train_ids():
    ids = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    for dataset in ("cityscapes", "gta5"):
        assert decode_ids(np.array([ids]), label_map(dataset, class_set(19)))[0].tolist() == list(range(19))
    # Under the 16 classes terrain, truck and train are ignored.
    decoded = decode_ids(np.array([[22, 27, 31, 33]]), label_map("cityscapes", class_set(16)))
    assert decoded[0].tolist() == [255, 255, 255, 15]


@pytest.mark.parametrize(
    ("dataset", "known", "unknown"), [("cityscapes", 255, 34), ("gta5", 34, 35), ("synthia", 22, 23)]
)
def test_ids_that_a_dataset_does_not_have_are_errors(dataset, known, unknown):
    assert decode_ids(np.array([[known]]), label_map(dataset, class_set(19))).shape == (1, 1)
    for value in (unknown, 300):
        with pytest.raises(ValueError, match=rf"\({value}\)"):
            decode_ids(np.array([[0, value]], dtype=np.uint16), label_map(dataset, class_set(19)))


def test_encoding_is_the_inverse_of_decoding():
    classes = class_set(19)
    train_ids = np.array([[*range(19), 255]], dtype=np.uint8)
    for dataset in ("cityscapes", "gta5", "synthia"):
        decoded = decode_ids(encode_ids(train_ids, dataset, classes), label_map(dataset, classes))
        np.testing.assert_array_equal(decoded, train_ids)


def test_colours_are_those_of_cityscapes_and_white_where_ignored():
    assert colourize(np.array([[0, 18, 255]], np.uint8), class_set(19)).tolist() == [
        [[128, 64, 128], [119, 11, 32], [255, 255, 255]]
    ]
