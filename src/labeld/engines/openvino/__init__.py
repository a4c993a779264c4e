"""Packed inference with OpenVINO: token ids to logits on a CPU."""
