"""Runtimes: what opens a bundle. One file each; none loads its framework before `open`."""
