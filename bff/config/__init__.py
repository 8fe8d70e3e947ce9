"""The one file of configuration, as frozen models; every fault is named with its key and mend.

`values` parses single values, `model` holds the sections, `checks` what several of them must keep
together, `load` reads a file and reports all its faults at once.
"""
