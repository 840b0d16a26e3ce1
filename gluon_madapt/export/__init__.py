"""A trained model -> a file that runs without MXNet: ONNX, for images of one size."""
