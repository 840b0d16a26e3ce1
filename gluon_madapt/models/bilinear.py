"""Resizes maps bilinearly with aligned corners, by products with two interpolation matrices.

Interpolation with aligned corners is linear along each axis: output row i samples input row s_i = i (h - 1)/(H - 1),
and entry (i, j) of the matrix is max(0, 1 - |s_i - j|).  MXNet's own operator computes the same values, but its
gradient is ten times slower and sums in an order that changes from run to run: training would not be reproducible.
Everything here hybridizes for inputs of any size: sizes are taken from the arrays, never from Python.
"""


def interpolation_matrix(F, x, like, axis: int):
    """Return the (H, h) matrix that resizes ``axis`` of ``x``, of length h, to that of ``like``, of length H."""
    inputs = F.contrib.arange_like(x, axis=axis)
    outputs = F.contrib.arange_like(like, axis=axis)
    # Multiplied before it is divided, so that the last position is exactly h - 1; a single output samples position 0.
    positions = F.broadcast_div(
        F.broadcast_mul(outputs, F.max(inputs, keepdims=True)),
        F.maximum(F.max(outputs, keepdims=True), 1),
    )
    distance = F.abs(F.broadcast_sub(F.expand_dims(positions, 1), F.expand_dims(inputs, 0)))
    return F.BlockGrad(F.relu(1 - distance))


def resize_like(F, x, like):
    """Resize ``x``, (N, C, h, w), to the height and width of ``like``, (?, ?, H, W): (N, C, H, W)."""
    wide = F.dot(x, interpolation_matrix(F, x, like, axis=3), transpose_b=True)
    rows = interpolation_matrix(F, x, like, axis=2)
    maps = F.reshape(wide, (-3, 0, 0))  # one matrix product per channel of each image
    tall = F.batch_dot(F.broadcast_like(F.expand_dims(rows, 0), maps, lhs_axes=(0,), rhs_axes=(0,)), maps)
    return F.reshape_like(tall, wide, lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=2)


def resize_channels_last(F, x, like):
    """Like `resize_like`, but the result is (N, H, W, C).

    Softmax and its gradient are several times faster over the last axis, and moving the channels between the two
    products touches a fraction of what moving them at the full size would.
    """
    wide = F.dot(x, interpolation_matrix(F, x, like, axis=3), transpose_b=True)
    wide = F.transpose(wide, (0, 2, 3, 1))
    rows = interpolation_matrix(F, x, like, axis=2)
    rows = F.broadcast_like(F.expand_dims(rows, 0), wide, lhs_axes=(0,), rhs_axes=(0,))
    tall = F.batch_dot(rows, F.reshape(wide, (0, 0, -3)))
    return F.reshape_like(tall, wide, lhs_begin=2, lhs_end=3, rhs_begin=2, rhs_end=4)
