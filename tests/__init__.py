"""Tests of sao_tui; helpers that several of them share lie in tests.fakes."""
