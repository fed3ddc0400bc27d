"""Conformance suites for plug-ins, for this project's own tests and for yours.

Subclass a contract in a test module and give it your plug-in: every `test_…` of the
suite then runs against it. Import them from `edgesdk.testing.runtime`,
`edgesdk.testing.exporter`, `edgesdk.testing.student`, `edgesdk.testing.recipe`,
`edgesdk.testing.task` and `edgesdk.testing.runner`.
"""
