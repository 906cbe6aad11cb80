"""sao_tui: the terminal workbench for fine-tuning Stable Audio Open Small."""

__version__ = "0.1.0"
