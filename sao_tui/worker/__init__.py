"""The only code that imports torch and stable_audio_tools; runs in processes of its own."""
