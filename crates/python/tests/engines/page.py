"""Runs the examples of one page, and leaves without waiting for servers that it started."""

import doctest
import os
import sys

failed, tried = doctest.testfile(sys.argv[1], module_relative=False)
print(f"{sys.argv[1]}: {tried} examples, {failed} failed", flush=True)
os._exit(1 if failed or not tried else 0)
