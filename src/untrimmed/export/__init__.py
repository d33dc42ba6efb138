"""A trained model for other people's systems: an ONNX graph, and a program of numpy around it."""
