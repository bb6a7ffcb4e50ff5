"""For code that imports AWS's runtime client, which Lambda has on its path: its public types.

A package of the function's own with this name comes first and is used instead.
"""

__version__ = "0.0.0+samovar"
