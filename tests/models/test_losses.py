import numpy as np
from mxnet import nd

from gluon_madapt.models.losses import segmentation_loss, source_likelihood_loss, target_likelihood_loss


def test_segmentation_loss_is_the_mean_over_labelled_pixels():
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.5]], dtype="float32").reshape(1, 3, 1, 2)
    labels = nd.array([[[0, 2]]])

    def negative_log(pixel, label):
        scores = logits[0, :, 0, pixel]
        return np.log(np.exp(scores).sum()) - scores[label]

    images = nd.zeros((1, 3, 1, 2))
    both = segmentation_loss(nd, nd.array(logits), labels, images).asscalar()
    np.testing.assert_allclose(
        both, (negative_log(0, 0) + negative_log(1, 2)) / 2, atol=1e-5
    )  # oneDNN approximates exp and log
    one = segmentation_loss(nd, nd.array(logits), nd.array([[[255, 2]]]), images).asscalar()
    np.testing.assert_allclose(one, negative_log(1, 2), atol=1e-5)  # oneDNN approximates exp and log


def test_segmentation_loss_without_a_labelled_pixel_is_zero():
    loss = segmentation_loss(nd, nd.ones((2, 3, 2, 2)), nd.full((2, 8, 8), 255), nd.zeros((2, 3, 8, 8)))
    assert loss.asscalar() == 0


def test_segmentation_loss_is_taken_at_the_size_of_the_labels():
    # One class wins on the left, the other on the right: at full size the boundary pixels are unsure.
    logits = nd.array(np.array([[[[4.0, -4.0]], [[-4.0, 4.0]]]], dtype="float32"))
    loss = segmentation_loss(nd, logits, nd.array([[[0, 0, 1, 1]]]), nd.zeros((1, 3, 1, 4))).asscalar()
    positions = np.array([4.0, 4 / 3, -4 / 3, -4.0])
    expected = np.mean([np.log1p(np.exp(-2 * abs(p))) for p in positions])
    np.testing.assert_allclose(loss, expected, atol=1e-5)


def test_discriminator_losses_by_hand():
    logits = nd.array([[0.0, 2.0, -3.0]])
    probability = 1 / (1 + np.exp(-logits.asnumpy()))
    np.testing.assert_allclose(source_likelihood_loss(nd, logits).asscalar(), -np.log(probability).mean(), rtol=1e-5)
    np.testing.assert_allclose(
        target_likelihood_loss(nd, logits).asscalar(), -np.log(1 - probability).mean(), rtol=1e-5
    )


def test_discriminator_losses_stay_finite_when_it_is_certain():
    certain = nd.array([[200.0, -200.0]])
    np.testing.assert_allclose(source_likelihood_loss(nd, certain).asscalar(), 100)
    np.testing.assert_allclose(target_likelihood_loss(nd, certain).asscalar(), 100)
