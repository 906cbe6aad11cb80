"""Synthesised sounds with captions, and a signal classifier that recognises them.

They are the ground truth of the nano model: `synth` makes clips, `hearing` says what a clip is
without knowing anything of the model that made it.
"""
