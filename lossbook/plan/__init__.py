"""The plan of a loss: what its kernels compute, step by step, before it is printed in a language.

formula.py   the formula as declared
lower.py     formula to plan: named steps, totals, slopes
guard.py     products and quotients that know their limits
ir.py        the plan
variants.py  which plan the settings of a call need
"""
