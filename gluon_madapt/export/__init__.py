"""Export of a trained model to ONNX, for images of one size, to run without MXNet.

Open `onnx_file` first: it traces, converts, describes and checks.
"""
