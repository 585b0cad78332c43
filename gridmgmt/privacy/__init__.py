"""What protects personal data: keys, sealed values, blind search, masks, and checks of the numbers.

`docs/methods/encryption.md` has the formulas, what they protect from and what not.
"""
