"""Tests of the core: tables and properties, without any I/O."""
